"""A tracker that may fail, made safe for a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pytorch_lightning.callbacks import Callback

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.scorer import Scores
from gifd_bench.benchmark.tracking.base import Tracker
from gifd_bench.benchmark.tracking.curves import Curves
from gifd_bench.common.errors import one_line
from gifd_bench.common.terminal import say
from gifd_bench.tasks.truth import Truth


class Guarded:
    """Calls a tracker for a run: whatever the tracker raises is reported once, and the cell continues.

    The report is one line. The cell's own files are the results, and a tracker only holds a copy.

    Args:
        tracker: a tracker that may raise anything.
        warn: is called with the line.
    """

    def __init__(self, tracker: Tracker, warn: Callable[[str], object] | None = None) -> None:
        self._tracker = tracker
        self._warn = warn or _to_standard_error
        self._warned = False
        self._open = False

    def begin(self, matrix: str, cell: Cell, folder: CellFolder) -> None:
        """Begin a cell, as in `Tracker`. A cell that a tracker could not begin is not tracked."""
        self._open = self._call(lambda: self._tracker.begin(matrix, cell, folder))

    def callbacks(self) -> Sequence[Callback]:
        """The callbacks for the Trainer while the attack of the cell runs."""
        return (Curves(self._log),) if self._open and self._tracker.wants_curves else ()

    def curves(self) -> Curves | None:
        """The callback that keeps the curves of a pack; `None` if nobody wants them."""
        return Curves() if self._tracker.wants_curves else None

    def replay(self, curves: Curves, target: int) -> None:
        """Log the curves of one cell of a pack, which has begun."""
        if self._open:
            for numbers, iteration in curves.points(target):
                self._log(numbers, iteration)

    def finish(self, reconstruction: Reconstruction, scores: Scores, truth: Truth) -> None:
        """Record the result of the cell, as in `Tracker`."""
        if self._open:
            self._call(lambda: self._tracker.finish(reconstruction, scores, truth))

    def close(self) -> None:
        """End the recording of the cell, as in `Tracker`."""
        self._open = False
        self._call(self._tracker.close)

    def summarize(self, run: RunFolder) -> None:
        """Record that a process ends, as in `Tracker`."""
        self._call(lambda: self._tracker.summarize(run))

    def _log(self, numbers: Mapping[str, float], iteration: int) -> None:
        self._call(lambda: self._tracker.log(numbers, iteration))

    def _call(self, function: Callable[[], None]) -> bool:
        try:
            function()
        except Exception as error:
            if not self._warned:
                self._warned = True
                name = type(self._tracker).__name__
                self._warn(
                    f"{name} failed ({type(error).__name__}: {one_line(error)}); the cells continue, "
                    "and their folders are complete. Further failures are not reported."
                )
            return False
        return True


def _to_standard_error(line: str) -> None:
    say(f"gifd-bench: {line}")
