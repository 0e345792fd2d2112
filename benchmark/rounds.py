"""The rounds that cells attack: made when they are first needed, and made again if files are damaged."""

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
    """Gives the observations of a run's cells; rounds of the same task share it.

    Args:
        run: the run folder, opened for its matrix.
        display: shows the training of victims.
        stop: is called after every step of such a training.
    """

    def __init__(self, run: RunFolder, display: Display, stop: Callable[[], bool]) -> None:
        self._run, self._display, self._stop = run, display, stop
        self._threads = run.threads
        self._tasks: dict[str, Task] = {}

    def observation(self, cell: Round) -> Observation:
        """The observation that a cell attacks, from its file.

        Raises:
            UserError: it cannot be made, or differs from the first one when it is made again.
        """
        self.mend(cell)
        return load_observation(self._run.observation(cell), cell.imports)

    def mend(self, cell: Round) -> None:
        """Make a round's observation and truth again, if they are missing or damaged.

        Both are checked before anything is attacked, because an inversion without a truth would be useless.

        Raises:
            UserError: one cannot be made, or differs from the first one when it is made again.
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
    """Put the results of damaged cells aside, so that these cells run again.

    Cells that only lack a round that can be made again stay.

    Raises:
        UserError: a round cannot be made, or differs from the first one when it is made again.
    """
    for cell, folder in run.cells():
        if folder.status() != DAMAGED:
            continue
        rounds.mend(cell)
        if folder.status() == DAMAGED:
            folder.retire()
