"""What the cells of a run share, whether they run alone or in packs."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gifd_bench.benchmark.display import Display
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.matrix.task import TaskConfig, training_split
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.rounds import Rounds
from gifd_bench.benchmark.scoring.base import Metric
from gifd_bench.benchmark.scoring.identification import Lineup
from gifd_bench.benchmark.scoring.scorer import score
from gifd_bench.benchmark.tracking.guarded import Guarded
from gifd_bench.common.errors import UserError, one_line
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.observation import Observation


@dataclass(frozen=True)
class Limits:
    """The limits of each cell.

    Attributes:
        seconds: wall-clock time; `None` for no limit.
        checkpoint_seconds: the time between two checkpoints of an inversion.
        ends_process: whether a cell that hangs beyond its limit ends the process that runs it.
    """

    seconds: float | None = None
    checkpoint_seconds: float = 30.0
    ends_process: bool = False


class Bench:
    """Metrics, priors, tasks and distractors of a run, which are made when they are first needed.

    Attributes:
        run, tracker, display, stop, limits: as in `Runner`.
        rounds: gives the observations.
        current: the folders of the cells that run now.
    """

    def __init__(
        self,
        run: RunFolder,
        tracker: Guarded,
        display: Display,
        stop: Callable[[], bool],
        limits: Limits,
    ) -> None:
        self.run, self.tracker, self.display, self.stop = run, tracker, display, stop
        self.limits = limits
        self.threads = run.threads
        self.rounds = Rounds(run, display, stop)
        self.current: Sequence[CellFolder] = ()
        self._metrics: dict[str, Metric] = {}
        self._priors: dict[str, Prior] = {}
        self._lineups: dict[str, Lineup | None] = {}

    def score_by(self, matrix: Matrix) -> None:
        """Make the metrics of a matrix."""
        self._metrics = {metric.label: metric.build() for metric in matrix.metrics}

    def prior(self, component: Component | None) -> Prior | None:
        """The prior of a cell."""
        if component is None:
            return None
        key = component.canonical
        if key not in self._priors:
            self._priors[key] = component.build()
        return self._priors[key]

    def finish(
        self,
        cell: Cell,
        folder: CellFolder,
        reconstruction: Reconstruction,
        observation: Observation,
        seconds: float,
        pack: Sequence[str] = (),
    ) -> None:
        """Score an answer, and end its cell with it.

        Args:
            cell: the cell that ran.
            folder: its folder.
            reconstruction: the answer.
            observation: what was attacked.
            seconds: the time that it took, as in `CellRecord`.
            pack: the ids of the cells that ran with it, as in `CellRecord`.
        """
        # Written before it is scored, so that a metric that fails does not cost the answer.
        folder.write_reconstruction(reconstruction)
        truth = self.run.truth(cell)
        scores = score(reconstruction, truth, observation, self._metrics, self._lineup(cell.task))
        folder.write_done(reconstruction, scores, seconds, pack)
        self.tracker.finish(reconstruction, scores, truth)

    def end(self, cell: Cell, folder: CellFolder) -> None:
        """Report that a cell has ended."""
        status = str(folder.status())
        folder.note(status)
        self.display.end(cell.title, status)

    def _lineup(self, config: TaskConfig) -> Lineup | None:
        """Other images of the task's dataset; `None` if they are not on this machine."""
        dataset = training_split(config.dataset)
        key = dataset.canonical
        if key not in self._lineups:
            try:
                self._lineups[key] = Lineup(dataset.build())
            except (UserError, ValueError, OSError):
                self._lineups[key] = None
        return self._lineups[key]


def fail(folder: CellFolder, error: BaseException, seconds: float) -> None:
    """End a cell with the error that was raised: a failure is a row. Call it where the error is handled."""
    reason = f"{type(error).__name__}: {one_line(error)}"
    folder.write_failed(reason, traceback.format_exc(), seconds)
