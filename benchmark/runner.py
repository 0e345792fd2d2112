"""Running the cells of a matrix, one after another or in packs."""

from __future__ import annotations

import gc
import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.bench import Bench, Limits
from gifd_bench.benchmark.display import Display
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.matrix.packs import by_kind, kind_of
from gifd_bench.benchmark.packed import run_pack
from gifd_bench.benchmark.results.claims import DEATHS, Claim, claimed
from gifd_bench.benchmark.results.pack_folder import packs_in
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.single import run_cell
from gifd_bench.benchmark.tracking.base import Tracker
from gifd_bench.benchmark.tracking.guarded import Guarded
from gifd_bench.common.parent import outlive_parent

# Processes in a row that may die over a cell, without getting further, before it runs alone.
DEATHS_IN_PACKS = 2
# The signals with which a cluster tells a job that it will end soon.
NOTICES = (signal.SIGUSR1, signal.SIGUSR2)


class StopRequest:
    """Turns the first Ctrl-C or TERM signal into a request, which is read between iterations.

    A second signal interrupts at once.
    """

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
        # So that a second signal is somebody's, and not the same parent's once more.
        outlive_parent()
        signal.signal(number, self._before[signal.Signals(number)])


@contextmanager
def _without_imports() -> Iterator[None]:
    """Keep Python's search for reference cycles away from existing objects, most of which were imported.

    This search after every cell would cost ten times as much as everything else in the engine.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Runner:
    """Runs the missing cells of a run folder.

    Args:
        run: the run folder, opened for the matrix.
        tracker: where curves and scores are also logged.
        display: shows the beginning, the iterations and the end of each inversion.
        stop: is called after every iteration; if it returns true, a checkpoint is written and
            InversionInterrupted is raised.
        limits: the limits of each cell.
        pack: the largest number of cells, which differ only in their target, that share an inversion.
    """

    def __init__(
        self,
        run: RunFolder,
        tracker: Tracker,
        display: Display,
        stop: Callable[[], bool],
        limits: Limits = Limits(),
        pack: int = 1,
    ) -> None:
        self.run, self.pack = run, pack
        self.bench = Bench(run, Guarded(tracker), display, stop, limits)
        self._may_pack: dict[str, bool] = {}

    def run_all(self, matrix: Matrix, most: int | None = None, start: int = 0) -> None:
        """Run every cell that has not ended, and that no other process runs.

        Args:
            matrix: the matrix for which the folder was opened.
            most: end after this many cells; `None` for all.
            start: position of the first cell, in the matrix or, if cells are packed, among its cells by
                kind; those before it come last.

        Raises:
            UserError: files or settings of the user are wrong.
            InversionInterrupted: it was asked to stop; running it again continues.
        """
        self.bench.score_by(matrix)
        cells = list(matrix.cells())
        packs = self._begun_packs(cells) if self.pack > 1 else {}
        if self.pack > 1:
            cells = by_kind(cells)
        waiting = self.run.not_ended(cells[start:] + cells[:start])
        for component in {prior.canonical: prior for cell in waiting if (prior := cell.prior)}.values():
            # Built now, so that damaged weights are an error before the first cell runs.
            self.bench.prior(component)
        with _without_imports():
            self._run_waiting(matrix.name, waiting, packs, math.inf if most is None else most)

    def _run_waiting(
        self, matrix: str, waiting: Sequence[Cell], packs: Mapping[str, Sequence[Cell]], left: float
    ) -> None:
        first = True
        for place, cell in enumerate(waiting):
            if left <= 0:
                return
            if self.run.cell(cell).ended():
                continue
            with ExitStack() as claims:
                claim = self._claim(cell, claims)
                if claim is None:
                    continue
                if claim.deaths >= DEATHS:
                    self._blame(cell, claim)
                    left -= 1
                    continue
                mates = [cell]
                if self._packs(cell, claim):
                    mates = self._begun_with(cell, packs, claims)
                    mates = mates or [cell, *self._mates(cell, waiting[place + 1 :], left - 1, claims)]
                if len(mates) > 1:
                    left -= sum(not self.run.cell(mate).ended() for mate in mates)
                    run_pack(self.bench, matrix, mates)
                else:
                    left -= 1
                    run_cell(self.bench, matrix, cell, self.run.cell(cell))
                # An attack and its Trainer refer to each other, and hold victim and observation: with
                # large ones, Python would be out of memory before it looked for such cycles itself.
                gc.collect()
                if first:
                    # It has imported what it needed, and built what all cells share.
                    gc.freeze()
                    first = False

    def _claim(self, cell: Cell, claims: ExitStack) -> Claim | None:
        """Claim a cell until `claims` are closed; `None` if it has ended, or another process has it."""
        folder = self.run.cell(cell)
        with ExitStack() as trial:
            claim = trial.enter_context(claimed(folder))
            if claim is None or folder.ended():
                return None
            claims.push(trial.pop_all())
            return claim

    def _blame(self, cell: Cell, claim: Claim) -> None:
        folder = self.run.cell(cell)
        self.bench.current = (folder,)
        reason = f"{claim.deaths} processes died over this cell, killed or out of memory"
        folder.write_failed(reason, "", 0.0)
        self.bench.display.end(cell.title, "failed")

    def _packs(self, cell: Cell, claim: Claim) -> bool:
        """Whether a cell runs in a pack.

        It does not if it has begun alone, or if processes died while they ran it, so that it takes no
        others with it.
        """
        if self.pack == 1 or claim.deaths >= DEATHS_IN_PACKS or self.run.cell(cell).checkpoint.exists():
            return False
        key = cell.attack.canonical
        if key not in self._may_pack:
            self._may_pack[key] = ATTACKS.attack_class(cell.attack.name).may_pack()
        return self._may_pack[key]

    def _mates(self, cell: Cell, others: Sequence[Cell], most: float, claims: ExitStack) -> list[Cell]:
        """Further free cells of the same kind, which are claimed from now on."""
        kind, mates = kind_of(cell), list[Cell]()
        for other in others:
            if len(mates) == min(self.pack - 1, most) or kind_of(other) != kind:
                break
            if self.run.cell(other).ended():
                continue
            with ExitStack() as trial:
                claim = self._claim(other, trial)
                if claim is not None and self._packs(other, claim):
                    claims.push(trial.pop_all())
                    mates.append(other)
        return mates

    def _begun_packs(self, cells: Sequence[Cell]) -> dict[str, Sequence[Cell]]:
        """Packs that were interrupted, by the ids of their cells; packs that have ended are removed."""
        known = {cell.id: cell for cell in cells}
        found: dict[str, Sequence[Cell]] = {}
        for pack in packs_in(self.run.packs):
            members = [known[name] for name in pack.members() if name in known]
            if all(self.run.cell(cell).ended() for cell in members):
                pack.remove()
            elif len(members) <= self.pack:
                found |= {cell.id: members for cell in members}
        return found

    def _begun_with(self, cell: Cell, packs: Mapping[str, Sequence[Cell]], claims: ExitStack) -> list[Cell]:
        """The whole pack in which a cell has begun, if all of its other cells have ended or are free.

        The free ones are claimed from now on. Otherwise, nothing is returned.
        """
        members = packs.get(cell.id, ())
        with ExitStack() as trial:
            for other in members:
                if other is cell or self.run.cell(other).ended():
                    continue
                claim = self._claim(other, trial)
                if claim is None or not self._packs(other, claim):
                    return []
            claims.push(trial.pop_all())
        return list(members)
