"""How much there is to do: gradient evaluations and time of the cells that are still to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.needs import offline
from gifd_bench.benchmark.matrix.pace import evaluations_of, iterations_of, measure
from gifd_bench.priors.base import Prior
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.task import Task

# Seconds of an evaluation by the labels of task and attack.
Rates = Mapping[tuple[str, str], float]
MEASURED_SECONDS = 1.5


@dataclass(frozen=True)
class Load:
    """Cells that are alike in task, attack and prior.

    Attributes:
        cell: one of them.
        cells: how many there are.
        evaluations: gradient evaluations of each, about; null where that is not known, which depends on
            the stages of a prior that is not here.
        seconds: of an evaluation; null where none was timed.
    """

    cell: Cell
    cells: int
    evaluations: int | None
    seconds: float | None

    @property
    def total_evaluations(self) -> int | None:
        """Of all the cells."""
        return None if self.evaluations is None else self.cells * self.evaluations

    @property
    def total_seconds(self) -> float | None:
        """Of all the cells, one after the other."""
        total = self.total_evaluations
        return None if total is None or self.seconds is None else total * self.seconds


def workload(cells: Iterable[Cell], rates: Rates, measured: bool) -> list[Load]:
    """What cells cost, in the order in which their kinds occur first. Nothing is written or fetched.

    Args:
        cells: those that are still to run.
        rates: what is known of their speed.
        measured: run a few iterations of those of which nothing is known, on this machine.

    Raises:
        BenchmarkError: an attack cannot be built, or its options do not fit its prior.
    """
    kinds: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        prior = cell.prior.canonical if cell.prior else ""
        kinds.setdefault((cell.task.canonical, cell.attack.canonical, prior), []).append(cell)
    workshop = _Workshop()
    loads = []
    for alike in kinds.values():
        first = alike[0]
        seconds = rates.get((first.task.label, first.attack.label))
        if seconds is None and measured:
            seconds = workshop.seconds(first)
        loads.append(Load(first, len(alike), workshop.evaluations(first), seconds))
    return loads


class _Workshop:
    """Makes what is needed to try a cell, once for all cells."""

    def __init__(self) -> None:
        self._priors: dict[str, Prior | None] = {}
        self._observations: dict[str, Observation | None] = {}
        self._evaluations: dict[tuple[str, str], int | None] = {}

    def evaluations(self, cell: Cell) -> int | None:
        """Gradient evaluations of a cell; null where they are not known."""
        key = (cell.attack.canonical, cell.prior.canonical if cell.prior else "")
        if key not in self._evaluations:
            self._evaluations[key] = self._count(cell)
        return self._evaluations[key]

    def seconds(self, cell: Cell) -> float | None:
        """Of a gradient evaluation; null where the cell cannot be tried."""
        observation, prior = self._observation(cell), self._prior(cell.prior)
        if observation is None or (cell.prior and prior is None):
            return None
        try:
            return measure(cell.attack.build(), observation, prior, MEASURED_SECONDS).seconds
        except Exception:  # Whatever an attack raises here, it will raise in the run, which records it.
            return None

    def _count(self, cell: Cell) -> int | None:
        prior = self._prior(cell.prior)
        if cell.prior and prior is None:
            return None
        # First this: it raises where the attack's options do not fit the prior.
        iterations = iterations_of(cell.attack.build(), prior)
        each = evaluations_of(cell.attack.build(), prior)
        return None if each is None else round(iterations * each)

    def _prior(self, component: Component | None) -> Prior | None:
        """The prior; null where its weights are not here."""
        if component is None:
            return None
        if component.canonical not in self._priors:
            absent = PRIORS.absent_files(component.name, component.arguments())
            self._priors[component.canonical] = None if absent else offline(component).build()
        return self._priors[component.canonical]

    def _observation(self, cell: Cell) -> Observation | None:
        """One of the cell's task; null where its images are not here. The victim's weights are random: its
        speed does not depend on them."""
        key = cell.task.canonical
        if key not in self._observations:
            settings = replace(cell.task.settings, weights="random", weights_file=None)
            try:
                model = cell.task.model
                task = Task(offline(cell.task.dataset).build(), model.name, model.options, settings)
                truth = task.truth(cell.target)
                self._observations[key] = task.observe(truth, cell.defense.build(), 0, 0)
            except TaskError:
                self._observations[key] = None
        return self._observations[key]
