"""How far a run is, read from its files alone: it does not matter who runs it, or where."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.claims import Claim, read_claim, read_progress
from gifd_bench.benchmark.results.record import DAMAGED, Progress
from gifd_bench.benchmark.results.run_folder import RunFolder

# A claim whose process has written no progress for so long may be of a dead one.
SILENT = 120.0
# What looking again and again may take of a processor's time, and the longest pause between two looks.
SHARE = 0.01
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Running:
    """A cell that is being run.

    Attributes:
        title: of the cell.
        claim: who runs it.
        iteration, iterations: where its inversion is; 0 before it begins.
        rate: iterations a second.
        silent: seconds since it was last heard of.
    """

    title: str
    claim: Claim
    iteration: int
    iterations: int
    rate: float
    silent: float


@dataclass(frozen=True)
class Status:
    """Of all cells of a run.

    Attributes:
        counts: by `queued`, `running`, `silent`, `done`, `failed`, `skipped` and `damaged`.
        running: cells with a claim, those long silent included.
        damaged: a line for each cell that has ended, and of which a file is not what it was.
    """

    counts: Counter[str]
    running: tuple[Running, ...]
    damaged: tuple[str, ...] = ()

    @property
    def cells(self) -> int:
        """All of them."""
        return self.counts.total()

    @property
    def ended(self) -> int:
        """Those with a result."""
        return sum(self.counts[status] for status in ("done", "failed", "skipped", DAMAGED))


class StatusReader:
    """Reads the status of a run again and again; results that were read once are not read again."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._waiting: Sequence[tuple[Cell, CellFolder]] = list(run.cells())
        self._ended: Counter[str] = Counter()
        self._damaged: list[str] = []
        self._took = 0.0

    def read(self) -> Status:
        """The status now."""
        began = time.monotonic()
        status = self._read()
        self._took = time.monotonic() - began
        return status

    def pause(self, least: float) -> float:
        """Seconds to wait before the next look: in proportion to what the last one took, since a look at
        very many cells takes a while.

        Args:
            least: seconds, where looking takes next to nothing.
        """
        return max(least, min(LONGEST_PAUSE, self._took / SHARE))

    def _read(self) -> Status:
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
        return Status(counts + self._ended, tuple(running), tuple(self._damaged))


def damage_line(cell: str, reason: str) -> str:
    """What is said of a damaged cell."""
    return f"damaged: {cell}: {reason}"


def _running(title: str, claim: Claim, folder: CellFolder) -> Running:
    progress = read_progress(folder)
    if progress.time < claim.since:
        # Of the process before.
        progress = Progress()
    return Running(
        title,
        claim,
        progress.iteration,
        progress.iterations,
        progress.rate,
        silent=time.time() - max(progress.time, claim.since),
    )
