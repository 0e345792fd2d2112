"""Groups of rows for means: one attack on one task under one defense."""

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
        """The number of scored images in the rows that are done."""
        return sum(row.images for row in self.done)

    @property
    def distractors(self) -> int | None:
        """The number of other images among which the private ones were to be found.

        It is the least over the rows, and `None` if identification was not computed.
        """
        return min((row.distractors for row in self.done if row.distractors is not None), default=None)

    def count(self, status: str) -> int:
        """The number of rows with a status."""
        return sum(row.status == status for row in self.rows)

    def mean(self, column: str) -> float | None:
        """The mean of a column over the rows that are done; `None` if one of them lacks it.

        No average leaves a row out silently.
        """
        values: list[Any] = [getattr(row, column) for row in self.done]
        return fmean(values) if values and None not in values else None


def groups_of(rows: Sequence[Row]) -> list[Group]:
    """The groups of a run, in the order of its rows."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.task, row.defense, row.attack_name), []).append(row)
    return [Group(*key, tuple(group)) for key, group in found.items()]
