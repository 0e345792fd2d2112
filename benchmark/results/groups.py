"""Rows that a mean is over: one attack on one task under one defense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from gifd_bench.benchmark.results.rows import Row


@dataclass(frozen=True)
class Group:
    """All cells of one attack (with one prior) on one task under one defense."""

    task: str
    defense: str
    attack: str
    rows: tuple[Row, ...]

    @cached_property
    def done(self) -> tuple[Row, ...]:
        """The rows that have numbers."""
        return tuple(row for row in self.rows if row.status == "done")

    @property
    def images(self) -> int:
        """How many scored images the rows that are done have."""
        return sum(row.images for row in self.done)

    @property
    def distractors(self) -> int | None:
        """Among how many others images were to be found, the least over the rows; `None` where nobody
        looked."""
        return min((row.distractors for row in self.done if row.distractors is not None), default=None)

    def count(self, status: str) -> int:
        """How many rows have a status."""
        return sum(row.status == status for row in self.rows)

    def mean(self, column: str) -> float | None:
        """The mean of a column over the rows that are done, or null where any of them lacks it: no
        average leaves one out silently."""
        values: list[Any] = [getattr(row, column) for row in self.done]
        return fmean(values) if values and None not in values else None


def groups_of(rows: Sequence[Row]) -> list[Group]:
    """The groups of a run, in the order of its rows."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.task, row.defense, row.attack_name), []).append(row)
    return [Group(*key, tuple(group)) for key, group in found.items()]
