"""Running the cells of a matrix, one after the other."""

from __future__ import annotations

import gc
import math
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.display import Display, Listener
from gifd_bench.benchmark.invert import Checkpoint, InversionInterrupted, invert
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.matrix.task import TaskConfig, training_split
from gifd_bench.benchmark.matrix.unmet import unmet
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.claims import DEATHS, claimed
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.rounds import Rounds
from gifd_bench.benchmark.scoring.base import Metric
from gifd_bench.benchmark.scoring.identification import Lineup
from gifd_bench.benchmark.scoring.scorer import score
from gifd_bench.benchmark.time_limit import TimeLimit, ends_when_hung
from gifd_bench.benchmark.tracking.base import Tracker
from gifd_bench.benchmark.tracking.guarded import Guarded
from gifd_bench.common.errors import StorageError, UserError, one_line
from gifd_bench.priors.base import Prior


@dataclass(frozen=True)
class Limits:
    """What each cell may take.

    Attributes:
        seconds: of wall time; `None` for no limit.
        checkpoint_seconds: between two checkpoints of an inversion.
        ends_process: whether a cell that hangs beyond its limit ends the process that runs it.
    """

    seconds: float | None = None
    checkpoint_seconds: float = 30.0
    ends_process: bool = False


# What a cluster tells a job with that is to end soon.
NOTICES = (signal.SIGUSR1, signal.SIGUSR2)


class StopRequest:
    """Turns the first Ctrl-C or TERM into a request, asked for between iterations; a second one
    interrupts at once."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self) -> bool:
        return self.requested

    def __enter__(self) -> StopRequest:
        self._before = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        # Held back by whoever started this process, until there is somebody to stop.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NOTICES)
        return self

    def __exit__(self, *args: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(number, self._before[signal.Signals(number)])


@contextmanager
def _without_imports() -> Iterator[None]:
    """Keep Python's search for reference cycles away from what is there already, most of it imported: that
    search, after every cell, would cost ten times what all else of the engine does."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Runner:
    """Runs what is missing in a run folder.

    Args:
        run: the folder, opened for the matrix.
        tracker: where curves and scores go besides.
        display: told of each inversion's begin, iterations and end.
        stop: asked after every iteration; true writes a checkpoint and raises InversionInterrupted.
        limits: of each cell.
    """

    def __init__(
        self,
        run: RunFolder,
        tracker: Tracker,
        display: Display,
        stop: Callable[[], bool],
        limits: Limits = Limits(),
    ) -> None:
        self.run, self.display, self.stop = run, display, stop
        self.tracker = Guarded(tracker)
        self.limits = limits
        self.current: CellFolder | None = None
        self.threads = run.threads
        self._metrics: dict[str, Metric] = {}
        self._priors: dict[str, Prior] = {}
        self._rounds = Rounds(run, display, stop)
        self._lineups: dict[str, Lineup | None] = {}

    def run_all(self, matrix: Matrix, most: int | None = None, start: int = 0) -> None:
        """Run every cell that has not ended and that no other process runs.

        Args:
            matrix: what the folder was opened for.
            most: end after so many cells; `None` for all.
            start: position in the matrix of the cell to begin with; those before it come last.

        Raises:
            UserError: the user's files or settings are at fault.
            InversionInterrupted: asked to stop; running again goes on.
        """
        self._metrics = {metric.label: metric.build() for metric in matrix.metrics}
        cells = list(matrix.cells())
        waiting = self.run.not_ended(cells[start:] + cells[:start])
        for component in {prior.canonical: prior for cell in waiting if (prior := cell.prior)}.values():
            # Now, so that weights that are damaged are an error before the first cell runs.
            self._prior(component)
        with _without_imports():
            self._run_waiting(matrix.name, waiting, math.inf if most is None else most)

    def _run_waiting(self, matrix: str, waiting: Sequence[Cell], left: float) -> None:
        first = True
        for cell in waiting:
            folder = self.run.cell(cell)
            if left == 0:
                return
            if folder.ended():
                continue
            with claimed(folder) as claim:
                if claim is None or folder.ended():
                    continue
                self.current = folder
                if claim.deaths >= DEATHS:
                    reason = f"{claim.deaths} processes died over this cell, killed or out of memory"
                    folder.write_failed(reason, "", 0.0)
                    self.display.end(cell.title, "failed")
                else:
                    self._run_cell(matrix, cell, folder)
                    # An attack and its Trainer refer to each other, and hold victim and observation: with
                    # large ones, Python would be out of memory before it looked for such cycles itself.
                    gc.collect()
                if first:
                    # It has imported what it needed, and built what all cells share.
                    gc.freeze()
                    first = False
                left -= 1

    def _run_cell(self, matrix: str, cell: Cell, folder: CellFolder) -> None:
        folder.begin(cell)
        seconds = self.limits.checkpoint_seconds
        checkpoint = Checkpoint(folder.checkpoint, seconds, self.stop, of=cell.id)
        try:
            reason = unmet(cell)
            if reason is None:
                self._attack(matrix, cell, folder, checkpoint)
            else:
                folder.write_skipped(reason)
        except (InversionInterrupted, KeyboardInterrupt, StorageError):
            folder.note("is interrupted")
            raise
        except (Exception, SystemExit) as error:
            # A failure is a row: whatever an attack raises, and a damaged image or observation, costs the
            # cells that need it and no others. Code from outside may even ask the process to exit.
            reason = f"{type(error).__name__}: {one_line(error)}"
            folder.write_failed(reason, traceback.format_exc(), checkpoint.spent())
        finally:
            # When the record is written, so that a tracker can say what became of the cell.
            self.tracker.close()
        status = str(folder.status())
        folder.note(status)
        self.display.end(cell.title, status)

    def _attack(self, matrix: str, cell: Cell, folder: CellFolder, checkpoint: Checkpoint) -> None:
        doubt = checkpoint.drop_if_doubtful()
        folder.note(
            f"starts again: {doubt}" if doubt else "goes on" if folder.checkpoint.exists() else "begins"
        )
        self.tracker.begin(matrix, cell, folder)

        def hung(reason: str) -> None:
            folder.write_failed(reason, "", checkpoint.spent())

        hard_limit = self.limits.seconds if self.limits.ends_process else None
        prior = self._prior(cell.prior) if cell.prior else None
        attack: Attack = cell.attack.build()
        observation = self._rounds.observation(cell)
        with ends_when_hung(hard_limit, hung):
            reconstruction = invert(
                attack,
                observation,
                prior,
                cell.attack_seed,
                threads=self.threads,
                checkpoint=checkpoint,
                callbacks=[
                    Listener(self.display, cell.title),
                    *self.tracker.callbacks(),
                    TimeLimit(self.limits.seconds, checkpoint.spent),
                ],
            )
        # Before anything is scored: what was found is not lost to a metric.
        folder.write_reconstruction(reconstruction)
        truth = self.run.truth(cell)
        scores = score(reconstruction, truth, observation, self._metrics, self._lineup(cell.task))
        folder.write_done(reconstruction, scores, checkpoint.spent())
        self.tracker.finish(reconstruction, scores, truth)

    def _lineup(self, config: TaskConfig) -> Lineup | None:
        """Other images of the task's dataset; `None` where that is not on this machine."""
        dataset = training_split(config.dataset)
        key = dataset.canonical
        if key not in self._lineups:
            try:
                self._lineups[key] = Lineup(dataset.build())
            except (UserError, ValueError, OSError):
                self._lineups[key] = None
        return self._lineups[key]

    def _prior(self, component: Component) -> Prior:
        key = component.canonical
        if key not in self._priors:
            self._priors[key] = component.build()
        return self._priors[key]
