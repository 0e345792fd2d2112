"""How much there is to do: gradient evaluations and time of the cells that are still to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.needs import offline
from gifd_bench.benchmark.matrix.unmet import options_of
from gifd_bench.common.errors import UserError
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.errors import TaskError

if TYPE_CHECKING:
    from gifd_bench.priors.base import Prior
    from gifd_bench.tasks.observation import Observation

# Seconds of an evaluation by the labels of task and attack.
Rates = Mapping[tuple[str, str], float]
MEASURED_SECONDS = 1.5


@dataclass(frozen=True)
class Load:
    """Cells with the same task, attack and prior.

    Attributes:
        cell: one of them.
        cells: the number of cells.
        evaluations: gradient evaluations of each, approximately; `None` if it is not known, because it
            depends on the stages of a prior that is not on this machine.
        seconds: the time of an evaluation; `None` if none was timed.
    """

    cell: Cell
    cells: int
    evaluations: int | None
    seconds: float | None

    @property
    def total_evaluations(self) -> int | None:
        """The gradient evaluations of all the cells."""
        return None if self.evaluations is None else self.cells * self.evaluations

    @property
    def total_seconds(self) -> float | None:
        """The seconds of all the cells, one after another."""
        total = self.total_evaluations
        return None if total is None or self.seconds is None else total * self.seconds


def workload(cells: Iterable[Cell], rates: Rates, measured: bool = False) -> list[Load]:
    """The cost of cells, in the order in which their kinds first occur. Nothing is written or downloaded.

    Args:
        cells: the cells that are still to run.
        rates: what is known about their speed.
        measured: whether to run a few iterations of those about which nothing is known, on this machine.

    Raises:
        UserError: options of an attack do not fit together, or do not fit its prior.
    """
    kinds: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        prior = cell.prior.canonical if cell.prior else ""
        kinds.setdefault((cell.task.canonical, cell.attack.canonical, prior), []).append(cell)
    stopwatch = _Trials()
    counted: dict[tuple[str, ...], int | None] = {}
    loads = []
    for (_, *attack_and_prior), alike in kinds.items():
        key, first = tuple(attack_and_prior), alike[0]
        if key not in counted:
            counted[key] = evaluations_of(first)
        seconds = rates.get((first.task.label, first.attack.label))
        if seconds is None and measured:
            seconds = stopwatch.seconds(first)
        loads.append(Load(first, len(alike), counted[key], seconds))
    return loads


def evaluations_of(cell: Cell) -> int | None:
    """The approximate gradient evaluations of a cell; `None` if they depend on a prior that is not here.

    Raises:
        UserError: the attack's options do not fit the prior.
    """
    stages: tuple[str, ...] | None = ()
    if cell.prior is not None:
        stages = PRIORS.stage_names(cell.prior.name, cell.prior.arguments())
    if stages is None:
        return None
    try:
        return options_of(cell.attack).total_evaluations(stages)
    except UserError as error:
        raise BenchmarkError(f"attacks.{cell.attack.label}: {error}") from error


class _Trials:
    """Tries cells; what they need is made once for all of them."""

    def __init__(self) -> None:
        self._priors: dict[str, Prior | None] = {}
        self._observations: dict[str, Observation | None] = {}

    def seconds(self, cell: Cell) -> float | None:
        """The seconds of a gradient evaluation; `None` if the cell cannot be tried."""
        from gifd_bench.benchmark.matrix.pace import seconds_of

        observation, prior = self._observation(cell), self._prior(cell.prior)
        if observation is None or (cell.prior and prior is None):
            return None
        try:
            return seconds_of(cell.attack.build(), observation, prior, MEASURED_SECONDS)
        except Exception:  # Whatever an attack raises here, it will raise in the run, which records it.
            return None

    def _prior(self, component: Component | None) -> Prior | None:
        """The prior; `None` if its weights are not here."""
        if component is None:
            return None
        if component.canonical not in self._priors:
            absent = PRIORS.absent_files(component.name, component.arguments())
            self._priors[component.canonical] = None if absent else offline(component).build()
        return self._priors[component.canonical]

    def _observation(self, cell: Cell) -> Observation | None:
        """One observation of the cell's task; `None` if its images are not here.

        The weights of the victim are random, because its speed does not depend on them.
        """
        key = cell.task.canonical
        if key not in self._observations:
            settings = replace(cell.task.settings, weights="random", weights_file=None)
            task = replace(cell.task, dataset=offline(cell.task.dataset), settings=settings)
            try:
                self._observations[key] = replace(cell, task=task).play(task.build())[0]
            except TaskError:
                self._observations[key] = None
        return self._observations[key]
