"""How far a run is, read only from its files, whoever runs it and wherever."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.claims import Claim, read_claim, read_progress
from gifd_bench.benchmark.results.record import DAMAGED, CellProgress
from gifd_bench.benchmark.results.run_folder import RunFolder

# A claim whose process has written no progress for so long may be of a dead one.
SILENT = 120.0
# What looking again and again may take of a processor's time, and the longest pause between two looks.
SHARE = 0.01
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Running:
    """A cell that is running.

    Attributes:
        title: the title of the cell.
        claim: who runs it.
        iteration, iterations: how far its inversion is, and its length; 0 before it begins.
        rate: iterations per second.
        silent: seconds since its last sign of life.
    """

    title: str
    claim: Claim
    iteration: int
    iterations: int
    rate: float
    silent: float


@dataclass(frozen=True)
class RunStatus:
    """The status of all cells of a run.

    Attributes:
        counts: the number of cells by `queued`, `running`, `silent`, `done`, `failed`, `skipped` and
            `damaged`.
        running: cells with a claim, including those that have long been silent.
        damaged: one line for each cell that has ended and has a file that was changed.
    """

    counts: Counter[str]
    running: tuple[Running, ...]
    damaged: tuple[str, ...] = ()

    @property
    def cells(self) -> int:
        """The number of all cells."""
        return self.counts.total()

    @property
    def ended(self) -> int:
        """The number of cells with a result."""
        return sum(self.counts[status] for status in ("done", "failed", "skipped", DAMAGED))


class StatusReader:
    """Reads the status of a run repeatedly; results that were read once are not read again."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._waiting: Sequence[tuple[Cell, CellFolder]] = list(run.cells())
        self._ended: Counter[str] = Counter()
        self._damaged: list[str] = []
        self._took = 0.0

    def read(self) -> RunStatus:
        """Read the present status."""
        began = time.monotonic()
        status = self._read()
        self._took = time.monotonic() - began
        return status

    def pause(self, least: float) -> float:
        """The seconds to wait before the next look, in proportion to the duration of the last one.

        A look at very many cells takes a while.

        Args:
            least: the smallest number of seconds.
        """
        return max(least, min(LONGEST_PAUSE, self._took / SHARE))

    def _read(self) -> RunStatus:
        waiting, running = [], []
        counts: Counter[str] = Counter()
        begun = self._run.begun() if self._waiting else frozenset()
        for cell, folder in self._waiting:
            if folder.path.name not in begun:
                waiting.append((cell, folder))
                counts["queued"] += 1
                continue
            outcome = folder.outcome()
            if isinstance(outcome, str):
                self._ended[DAMAGED] += 1
                self._damaged.append(damage_line(cell.id, outcome))
                continue
            if outcome is not None:
                self._ended[outcome.status] += 1
                continue
            waiting.append((cell, folder))
            claim = read_claim(folder)
            if claim is None:
                counts["queued"] += 1
                continue
            found = _running(cell.title, claim, folder)
            counts["silent" if found.silent > SILENT else "running"] += 1
            running.append(found)
        self._waiting = waiting
        return RunStatus(counts + self._ended, tuple(running), tuple(self._damaged))


def damage_line(cell: str, reason: str) -> str:
    """The message about a damaged cell."""
    return f"damaged: {cell}: {reason}"


def _running(title: str, claim: Claim, folder: CellFolder) -> Running:
    progress = read_progress(folder)
    if progress.time < claim.since:
        # It was written by the process before.
        progress = CellProgress()
    return Running(
        title,
        claim,
        progress.iteration,
        progress.iterations,
        progress.rate,
        silent=time.time() - max(progress.time, claim.since),
    )
