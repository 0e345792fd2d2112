"""The rounds that cells attack: made when they are first needed, and again where files are damaged."""

from __future__ import annotations

from collections.abc import Callable

from gifd_bench.benchmark.display import Display, VictimListener
from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.benchmark.matrix.task import TaskConfig
from gifd_bench.benchmark.results.record import DAMAGED
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.common.threads import operation_threads
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import load_observation
from gifd_bench.tasks.task import Task


class Rounds:
    """Gives the observations of a run's cells; rounds of one task share what that holds.

    Args:
        run: the folder, opened for its matrix.
        display: told of the training of victims.
        stop: asked after every step of that.
    """

    def __init__(self, run: RunFolder, display: Display, stop: Callable[[], bool]) -> None:
        self._run, self._display, self._stop = run, display, stop
        self._threads = run.threads
        self._tasks: dict[str, Task] = {}

    def observation(self, cell: Round) -> Observation:
        """What a cell attacks, from its file.

        Raises:
            UserError: it cannot be made, or made again it is not what it was.
        """
        self.mend(cell)
        return load_observation(self._run.observation(cell), cell.imports)

    def mend(self, cell: Round) -> None:
        """Make what is missing or damaged of a round's observation and truth.

        Both are looked at before anything is attacked: an inversion without a truth is in vain.

        Raises:
            UserError: it cannot be made, or made again it is not what it was.
        """
        files = self._run.round(cell)
        wanting = files.wanting(recorded=self._run.sealed)
        if wanting:
            with operation_threads(self._threads):
                files.write(*cell.play(self._task(cell.task)), wanting)

    def _task(self, config: TaskConfig) -> Task:
        key = config.canonical
        if key not in self._tasks:
            listener = VictimListener(self._display, config.label, self._stop)
            self._tasks[key] = config.build([listener], self._threads)
        return self._tasks[key]


def retire_damaged(run: RunFolder, rounds: Rounds) -> None:
    """Put the results of damaged cells aside, so that they run again; those that only lack a round that can
    be made again stay.

    Raises:
        UserError: a round cannot be made, or made again it is not what it was.
    """
    for cell, folder in run.cells():
        if folder.status() != DAMAGED:
            continue
        rounds.mend(cell)
        if folder.status() == DAMAGED:
            folder.retire()
