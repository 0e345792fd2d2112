"""The course of an inversion: which restarts and which stage run, what was spent, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.anytime import Anytime, Snapshot
from gifd_bench.benchmark.inversion.candidates import BestIterate, Candidate, Offer, first_best
from gifd_bench.benchmark.inversion.draws import Draws
from gifd_bench.benchmark.inversion.halving import Halvings, best_of
from gifd_bench.benchmark.inversion.reconstruction import StageResult
from gifd_bench.benchmark.inversion.search import Lane


@dataclass
class Progress:
    """How far an inversion is.

    Attributes:
        restart: the first of the restarts that run now.
        stage: the stage that they are in.
        step: the step within the stage.
        iteration: the iterations in all.
        gradient_evaluations: the evaluations spent in all.
    """

    restart: int = 0
    stage: int = 0
    step: int = 0
    iteration: int = 0
    gradient_evaluations: int = 0


class Course:
    """The restarts of an inversion: some run side by side, and the others after them.

    Each restart runs its stages one after another. If several targets are attacked at once, this holds for
    the restarts of each target.

    Attributes:
        stages: the stages of a restart, in order.
        progress: how far the inversion is.
        best: the best iterates of the stage.
        anytime: for each target, the answers that it would have had earlier.
        latest_losses: for each target, the lowest matching loss of the latest iterate, (targets,), on the
            device.

    Args:
        stages: the stages of a restart, in order.
        restarts: the number of restarts of each target.
        at_once: the number of them that run side by side.
        seeds: the seed of all randomness, for each target.
        halvings: when restarts that run side by side are dropped; by default, none are.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        restarts: int,
        at_once: int,
        seeds: Sequence[int],
        halvings: Callable[[int, int], Halvings] = Halvings.none,
    ) -> None:
        self.stages = stages
        self.progress = Progress()
        self.best = BestIterate()
        self.anytime = [Anytime() for _ in seeds]
        self.latest_losses = torch.full((len(seeds),), torch.nan, device="cpu")
        self._restarts, self._at_once, self._seeds = restarts, at_once, seeds
        self._of_each = sum(stage.iterations for stage in stages)
        # One row for each restart, target by target.
        self._curves = torch.full((len(seeds) * restarts, self._of_each), torch.nan, device="cpu")
        self._found: list[list[Candidate]] = [[] for _ in range(len(seeds) * restarts)]
        self._halvings = halvings
        self._rows: Tensor
        self._begin_restarts()

    @property
    def iterations(self) -> int:
        """The iterations in all; restarts that run side by side take theirs together."""
        return -(-self._restarts // self._at_once) * self._of_each

    @property
    def stage(self) -> Stage:
        """The stage that runs."""
        return self.stages[self.progress.stage]

    @property
    def stage_is_over(self) -> bool:
        """Whether all iterations of the stage are done."""
        return self.progress.step == self.stage.iterations

    @property
    def is_last_stage(self) -> bool:
        """Whether a restart ends with this stage."""
        return self.progress.stage == len(self.stages) - 1

    @property
    def searches(self) -> list[tuple[int, int]]:
        """Target and restart of all searches that run now, target by target, equally many for each."""
        return [divmod(row, self._restarts) for row in self._running]

    @property
    def most_lanes(self) -> int:
        """The largest number of lanes that run at the same time."""
        members = max(stage.members for stage in self.stages)
        return len(self._seeds) * min(self._at_once, self._restarts) * members

    def lanes(self) -> list[Lane]:
        """The lanes of the stage, search by search."""
        return [
            Lane(restart, member, draws, target)
            for (target, restart), draws in zip(self.searches, self._draws, strict=True)
            for member in range(self.stage.members)
        ]

    def to(self, device: torch.device) -> None:
        """Keep curves on a device."""
        self._curves, self._rows = self._curves.to(device), self._rows.to(device)

    def offer(self, offered: Offer) -> None:
        """Make the iterates of all lanes candidates; of each restart, that of the best member."""
        self.best.offer(Offer.of_best_members(offered, len(self._running)))
        spent = self.progress.gradient_evaluations
        if self.anytime[0].is_due(spent):
            now = dict(zip(self._running, self.best.candidates(*self._now()), strict=True))
            found = [
                [*earlier, now[row]] if row in now else earlier for row, earlier in enumerate(self._found)
            ]
            for target, anytime in enumerate(self.anytime):
                begun = [earlier for earlier in found[self._rows_of(target)] if earlier]
                anytime.take(spent, begun, self._floor(target))

    def note(self, matching: Tensor) -> None:
        """Record the matching losses of the lanes in this iteration; of each restart, the lowest."""
        loss = matching.detach()
        known = torch.where(torch.isnan(loss), torch.inf, loss)
        lowest = known.view(len(self._seeds), len(self._running) // len(self._seeds), -1).amin(dim=2)
        column = self.progress.iteration % self._of_each
        self._curves[self._rows, column] = lowest.flatten()
        self.latest_losses = lowest.amin(dim=1)

    def step(self) -> None:
        """Count an iteration."""
        self.progress.step += 1
        self.progress.iteration += 1

    def drop_worst(self) -> list[int] | None:
        """Drop the restarts of each target whose best iterates so far are worst, if it is time to.

        Returns:
            The places, among those that ran, of the restarts that continue; `None` if all do, as in most
            iterations.
        """
        step = self.progress.iteration % self._of_each
        left, running = self._due.left.get(step), len(self._running) // len(self._seeds)
        if left is None or left >= running:
            return None
        kept = [] if self.best.kept is None else self.best.candidates(*self._now())
        found = [[*self._found[row], *kept[place : place + 1]] for place, row in enumerate(self._running)]
        bests = [
            first_best(candidates, self._floor(place // running)).criterion
            for place, candidates in enumerate(found)
        ]
        criteria = torch.stack(bests).tolist()
        places = [
            first + place
            for first in range(0, len(criteria), running)
            for place in best_of(criteria[first : first + running], left)
        ]
        for place, row in enumerate(self._running):
            if place not in places:
                self._found[row] = found[place]
        self._go_on([self._running[place] for place in places], [self._draws[place] for place in places])
        self.best.keep(torch.tensor(places, device=self._rows.device))
        return places

    def end_stage(self) -> None:
        """Close the stage and, after their last stage, the restarts."""
        found = self.best.candidates(*self._now())
        for row, candidate in zip(self._running, found, strict=True):
            self._found[row].append(candidate)
        self.best = BestIterate(self.best.floor)
        last = self.is_last_stage
        self.progress.step = 0
        self.progress.stage = 0 if last else self.progress.stage + 1
        if last:
            self.progress.restart += self._at_once
            self._begin_restarts()

    def chosen(self, target: int = 0) -> tuple[StageResult, tuple[StageResult, ...]]:
        """The answer for a target, and the stages of the restart from which it comes.

        Raises:
            BenchmarkError: no iterate had a finite matching loss.
        """
        # Restarts that were to follow have found nothing where the inversion was stopped early.
        begun = [stages for stages in self._found[self._rows_of(target)] if stages]
        if not begun:
            raise BenchmarkError("the inversion was stopped before its first iteration")
        floor = self._floor(target)
        bests = [first_best(stages, floor) for stages in begun]
        criteria = torch.stack([best.criterion for best in bests])
        finite = torch.isfinite(criteria)
        if not bool(finite.any()):
            raise BenchmarkError("the matching loss was never finite")
        chosen = int(torch.where(finite, criteria, torch.inf).argmin())
        return _result(bests[chosen]), tuple(_result(candidate) for candidate in begun[chosen])

    def stages_of(self, target: int, restart: int) -> tuple[StageResult, ...]:
        """What one restart of a target had found at the end of each stage that it has ended."""
        return tuple(_result(candidate) for candidate in self._found[self._rows_of(target)][restart])

    def snapshots(self, target: int = 0) -> tuple[Snapshot, ...]:
        """The answers that a target would have had earlier, on the CPU.

        Answers without a finite matching loss are left out. Each of several targets has its share of the
        time.
        """
        taken = [
            replace(
                snapshot,
                seconds=snapshot.seconds / len(self._seeds),
                matching_loss=snapshot.matching_loss.cpu(),
                images=snapshot.images.cpu(),
            )
            for snapshot in self.anytime[target].taken
        ]
        return tuple(snapshot for snapshot in taken if bool(torch.isfinite(snapshot.matching_loss)))

    def curve(self, target: int = 0) -> Tensor:
        """The matching loss of each iterate for a target, restart after restart."""
        return self._curves.view(len(self._seeds), -1)[target].cpu()

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {
            "progress": asdict(self.progress),
            "best": None if self.best.kept is None else asdict(self.best.kept),
            "found": [[asdict(candidate) for candidate in stages] for stages in self._found],
            "curves": self._curves,
            "anytime": [anytime.state() for anytime in self.anytime],
            "running": self._running,
            "draws": [draws.state() for draws in self._draws],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of a checkpoint."""
        self.progress = Progress(**state["progress"])
        self.best.kept = None if state["best"] is None else Offer(**state["best"])
        self._found = [[Candidate(**candidate) for candidate in stages] for stages in state["found"]]
        self._curves = state["curves"].to(self._curves.device)
        for anytime, saved in zip(self.anytime, state["anytime"], strict=True):
            anytime.load_state(saved)
        self._begin_restarts()
        self._go_on(state["running"])
        for draws, saved in zip(self._draws, state["draws"], strict=True):
            draws.load_state(saved)

    def _rows_of(self, target: int) -> slice:
        return slice(target * self._restarts, (target + 1) * self._restarts)

    def _floor(self, target: int) -> float | Tensor:
        floor = self.best.floor
        return floor[target] if isinstance(floor, Tensor) and floor.ndim else floor

    def _now(self) -> tuple[str, int]:
        return self.stage.name, self.progress.gradient_evaluations

    def _begin_restarts(self) -> None:
        """Begin the next restarts that run side by side, for each target."""
        first = self.progress.restart
        restarts = range(first, min(first + self._at_once, self._restarts))
        self._due = self._halvings(len(restarts), self._of_each)
        self._go_on([t * self._restarts + restart for t in range(len(self._seeds)) for restart in restarts])

    def _go_on(self, running: list[int], draws: list[Draws] | None = None) -> None:
        """Continue with these rows, target by target; without given draws, with draws from the start."""
        self._running = running
        self._draws = draws or [Draws(self._seeds[target], restart) for target, restart in self.searches]
        self._rows = torch.tensor(running, dtype=torch.int64, device=self._curves.device)


def _result(candidate: Candidate) -> StageResult:
    targets = candidate.targets.cpu()
    soft = targets.is_floating_point()
    return StageResult(
        name=candidate.stage,
        images=candidate.images.cpu(),
        labels=targets.argmax(dim=1) if soft else targets,
        matching_loss=float(candidate.matching_loss),
        gradient_evaluations=candidate.gradient_evaluations,
        label_probabilities=targets if soft else None,
    )
