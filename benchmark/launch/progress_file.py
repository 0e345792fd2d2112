"""A display for other processes: a worker writes its progress to the folder of the cell that it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from gifd_bench.benchmark.results.record import CellProgress, write_record
from gifd_bench.common.errors import StorageError

SECONDS = 1.0


class ProgressFile:
    """Writes iteration and rate to a file, at most once a second.

    Args:
        paths: returns the files of the cells that run now.
    """

    def __init__(self, paths: Callable[[], Sequence[Path]]) -> None:
        self._paths = paths
        self._iterations = 0
        self._first: tuple[float, int] | None = None
        self._written = 0.0

    def begin(self, title: str, iterations: int) -> None:
        """Write that an inversion begins, or continues."""
        self._iterations, self._first, self._written = iterations, None, 0.0

    def iterate(self, iteration: int) -> None:
        """Write that this many iterations are done."""
        now = time.monotonic()
        self._first = self._first or (now, iteration)
        if now - self._written < SECONDS:
            return
        self._written = now
        began, first = self._first
        rate = (iteration - first) / (now - began) if now > began else 0.0
        progress = CellProgress(iteration, self._iterations, round(rate, 3), time.time())
        for path in self._paths():
            # A display that fails must not cost a cell.
            with suppress(StorageError):
                write_record(progress, path)

    def end(self, title: str, status: str) -> None:
        """Note that the cell has ended."""
