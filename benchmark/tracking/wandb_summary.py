"""The content of the summary run of a matrix: tables of every cell, of means, and of images."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, zip_longest
from pathlib import Path
from statistics import fmean
from typing import Any

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.rows import PENDING, STATUSES, Row, rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.registry import COLUMNS as METRICS
from gifd_bench.benchmark.scoring.registry import IDENTIFICATION
from gifd_bench.benchmark.tracking.base import axes_of
from gifd_bench.benchmark.tracking.pictures import side_by_side
from gifd_bench.common.files import read_json, write_json

MOST_PICTURES = 200
MEANS = (*METRICS, *IDENTIFICATION, "matching_loss", "gradient_evaluations", "seconds")


@dataclass(frozen=True)
class Table:
    """Columns, and one list for each row."""

    columns: list[str]
    data: list[list[Any]]


class WandbSummary:
    """The present results of a run.

    Args:
        run: the run folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.matrix: Matrix = run.load_matrix()

    @property
    def folder(self) -> Path:
        """The folder of the summary run."""
        return self.run.path / "tracking"

    @property
    def id(self) -> str:
        """One id for every matrix, however often its summary is written."""
        return f"summary-{_digest(self.matrix.config())}"

    @cached_property
    def rows(self) -> list[Row]:
        """Every cell."""
        return rows_of(self.run)

    def is_news(self) -> bool:
        """Whether cells have ended since `keep` was last called."""
        known = read_json(self._kept)["rows"] if self._kept.is_file() else None
        return any(row.status != PENDING for row in self.rows) and known != self._state

    def keep(self) -> None:
        """Remember that these results have been summarized."""
        write_json(self._kept, {"rows": self._state})

    def counts(self) -> dict[str, int]:
        """The number of cells, and of cells with every status."""
        statuses = Counter(row.status for row in self.rows)
        return {"cells_in_all": len(self.rows)} | {
            f"cells_{name}": count for name, count in statuses.items()
        }

    def tables(self) -> dict[str, Table]:
        """Tables, by the key under which they are logged."""
        return {"cells": cell_table(self.rows), "means": mean_table(self.rows), "images": self._images()}

    def _images(self) -> Table:
        """The first images of the cells that are done, at most `MOST_PICTURES`, taking tasks in turn."""
        import wandb

        by_task: dict[str, list[tuple[Cell, CellFolder]]] = {}
        for cell, folder in self.run.cells():
            by_task.setdefault(cell.task.label, []).append((cell, folder))
        done = (pair for pair in taking_turns(list(by_task.values())) if pair[1].status() == "done")
        columns: list[str] = []
        data: list[list[Any]] = []
        for cell, folder in islice(done, MOST_PICTURES):
            record = folder.read()
            axes = axes_of(cell)
            truth, answer = self.run.truth(cell).images[0], folder.images()[record.assignment[0]]
            columns = [*axes, "psnr", "truth", "reconstruction"]
            pictures = [wandb.Image(side_by_side([image])) for image in (truth, answer)]
            data.append([*axes.values(), (record.per_image["psnr"] or [None])[0], *pictures])
        return Table(columns, data)

    @property
    def _kept(self) -> Path:
        return self.folder / "summary.json"

    @cached_property
    def _state(self) -> str:
        return _digest([row.as_dict() for row in self.rows])


def cell_table(rows: Sequence[Row]) -> Table:
    """Every cell: its axes, status, metrics and reason."""
    dicts = [row.as_dict() for row in rows]
    return Table(list(dicts[0]), [list(row.values()) for row in dicts])


def mean_table(rows: Sequence[Row]) -> Table:
    """Means by task, defense and attack over the cells that are done.

    It also counts how many cells are done, failed, skipped and pending. No mean leaves a missing value out.
    """
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.task, row.defense, row.attack, row.prior or "none"), []).append(row)
    data = []
    for key, group in groups.items():
        done = [row for row in group if row.status == "done"]
        means = [_mean([getattr(row, name) for row in done]) for name in MEANS]
        counts = [sum(row.status == status for row in group) for status in STATUSES]
        data.append([*key, *means, sum(row.images for row in done), *counts])
    return Table(["task", "defense", "attack", "prior", *MEANS, "images", *STATUSES], data)


def taking_turns(
    groups: Sequence[Sequence[tuple[Cell, CellFolder]]],
) -> Iterator[tuple[Cell, CellFolder]]:
    """The first of every group, then the second, and so on."""
    return (pair for pair in chain.from_iterable(zip_longest(*groups)) if pair is not None)


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return fmean(present) if present and len(present) == len(values) else None


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
