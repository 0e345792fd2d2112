"""The course of an inversion: which restarts and which stage are on, what was spent, what was found."""

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
    """Where an inversion stands.

    Attributes:
        restart: the first of the restarts that run now.
        stage: of them all.
        step: within the stage.
        iteration: in all.
        gradient_evaluations: spent, in all.
    """

    restart: int = 0
    stage: int = 0
    step: int = 0
    iteration: int = 0
    gradient_evaluations: int = 0


class Course:
    """Restarts run side by side, some at once and the others after them; each is its stages in turn.

    Attributes:
        stages: of a restart, in order.
        progress: where it stands.
        restarts: those that run now.
        best: iterates of the stage.
        anytime: what the answer would have been earlier.
        latest_loss: the lowest matching loss of the latest iterate; a tensor on the device.

    Args:
        stages: see above.
        restarts: how many there are.
        at_once: how many run at once.
        seed: of all randomness.
        halvings: when which of so many restarts that run at once are dropped; by default none are.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        restarts: int,
        at_once: int,
        seed: int,
        halvings: Callable[[int, int], Halvings] = Halvings.none,
    ) -> None:
        self.stages = stages
        self.progress = Progress()
        self.best = BestIterate()
        self.anytime = Anytime()
        self.latest_loss = torch.tensor(torch.nan, device="cpu")
        self._restarts, self._at_once, self._seed = restarts, at_once, seed
        self._of_each = sum(stage.iterations for stage in stages)
        self._curves = torch.full((restarts, self._of_each), torch.nan, device="cpu")
        self._found: list[list[Candidate]] = [[] for _ in range(restarts)]
        self._halvings = halvings
        self._rows: Tensor
        self._begin_restarts()

    @property
    def iterations(self) -> int:
        """In all, where restarts at once take their iterations together."""
        return -(-self._restarts // self._at_once) * self._of_each

    @property
    def stage(self) -> Stage:
        """The stage that is on."""
        return self.stages[self.progress.stage]

    @property
    def stage_is_over(self) -> bool:
        """Whether all of its iterations are done."""
        return self.progress.step == self.stage.iterations

    @property
    def is_last_stage(self) -> bool:
        """Whether a restart ends with this stage."""
        return self.progress.stage == len(self.stages) - 1

    @property
    def most_lanes(self) -> int:
        """How many lanes there are at once, at most."""
        return min(self._at_once, self._restarts) * max(stage.members for stage in self.stages)

    def lanes(self) -> list[Lane]:
        """Those of the stage, restart by restart."""
        return [
            Lane(restart, member, draws)
            for restart, draws in zip(self.restarts, self._draws, strict=True)
            for member in range(self.stage.members)
        ]

    def to(self, device: torch.device) -> None:
        """Keep curves there."""
        self._curves, self._rows = self._curves.to(device), self._rows.to(device)

    def offer(self, offered: Offer) -> None:
        """Make the iterates of all lanes candidates, of each restart the best member's."""
        self.best.offer(Offer.of_best_members(offered, len(self.restarts)))
        spent = self.progress.gradient_evaluations
        if self.anytime.is_due(spent):
            now = dict(zip(self.restarts, self.best.candidates(*self._now()), strict=True))
            found = [[*its, now[r]] if r in now else its for r, its in enumerate(self._found)]
            self.anytime.take(spent, [its for its in found if its], self.best.floor)

    def note(self, matching: Tensor) -> None:
        """Put the matching losses of the iteration's lanes down: of each restart the lowest."""
        loss = matching.detach()
        known = torch.where(torch.isnan(loss), torch.inf, loss)
        lowest = known.view(len(self.restarts), -1).amin(dim=1)
        column = self.progress.iteration % self._of_each
        self._curves[self._rows, column] = lowest
        self.latest_loss = lowest.amin()

    def step(self) -> None:
        """An iteration is done."""
        self.progress.step += 1
        self.progress.iteration += 1

    def drop_worst(self) -> list[int] | None:
        """Where it is time to, drop the restarts whose best iterates so far are worst; of those that ran,
        the places of those that go on. None where all do, as in most iterations."""
        step = self.progress.iteration % self._of_each
        left = self._due.left.get(step)
        if left is None or left >= len(self.restarts):
            return None
        kept = [] if self.best.kept is None else self.best.candidates(*self._now())
        found = [[*self._found[r], *kept[place : place + 1]] for place, r in enumerate(self.restarts)]
        bests = [first_best(candidates, self.best.floor).criterion for candidates in found]
        places = best_of(torch.stack(bests).tolist(), left)
        for place, restart in enumerate(self.restarts):
            if place not in places:
                self._found[restart] = found[place]
        self._go_on([self.restarts[place] for place in places], [self._draws[place] for place in places])
        self.best.keep(torch.tensor(places, device=self._rows.device))
        return places

    def end_stage(self) -> None:
        """Close the stage, and the restarts after their last one."""
        found = self.best.candidates(*self._now())
        for restart, candidate in zip(self.restarts, found, strict=True):
            self._found[restart].append(candidate)
        self.best = BestIterate(self.best.floor)
        last = self.is_last_stage
        self.progress.step = 0
        self.progress.stage = 0 if last else self.progress.stage + 1
        if last:
            self.progress.restart += self._at_once
            self._begin_restarts()

    def chosen(self) -> tuple[StageResult, tuple[StageResult, ...]]:
        """The answer, and the stages of the restart that it is from.

        Raises:
            BenchmarkError: no iterate had a finite matching loss.
        """
        # Restarts that were to follow have found nothing where the inversion was stopped early.
        begun = [stages for stages in self._found if stages]
        if not begun:
            raise BenchmarkError("the inversion was stopped before its first iteration")
        bests = [first_best(stages, self.best.floor) for stages in begun]
        criteria = torch.stack([best.criterion for best in bests])
        finite = torch.isfinite(criteria)
        if not bool(finite.any()):
            raise BenchmarkError("the matching loss was never finite")
        chosen = int(torch.where(finite, criteria, torch.inf).argmin())
        return _result(bests[chosen]), tuple(_result(candidate) for candidate in begun[chosen])

    def snapshots(self) -> tuple[Snapshot, ...]:
        """What the answer would have been earlier, on the CPU; none whose matching loss was not finite."""
        taken = [
            replace(snapshot, matching_loss=snapshot.matching_loss.cpu(), images=snapshot.images.cpu())
            for snapshot in self.anytime.taken
        ]
        return tuple(snapshot for snapshot in taken if bool(torch.isfinite(snapshot.matching_loss)))

    def curve(self) -> Tensor:
        """The matching loss of each iterate, restart after restart."""
        return self._curves.flatten().cpu()

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "progress": asdict(self.progress),
            "best": None if self.best.kept is None else asdict(self.best.kept),
            "found": [[asdict(candidate) for candidate in stages] for stages in self._found],
            "curves": self._curves,
            "anytime": self.anytime.state(),
            "restarts": self.restarts,
            "draws": [draws.state() for draws in self._draws],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """From a checkpoint."""
        self.progress = Progress(**state["progress"])
        self.best.kept = None if state["best"] is None else Offer(**state["best"])
        self._found = [[Candidate(**candidate) for candidate in stages] for stages in state["found"]]
        self._curves = state["curves"].to(self._curves.device)
        self.anytime.load_state(state["anytime"])
        self._begin_restarts()
        running = state["restarts"]
        self._go_on(running, [Draws(self._seed, restart) for restart in running])
        for draws, saved in zip(self._draws, state["draws"], strict=True):
            draws.load_state(saved)

    def _now(self) -> tuple[str, int]:
        return self.stage.name, self.progress.gradient_evaluations

    def _begin_restarts(self) -> None:
        """The next that run at once, all of them."""
        first = self.progress.restart
        restarts = list(range(first, min(first + self._at_once, self._restarts)))
        self._due = self._halvings(len(restarts), self._of_each)
        self._go_on(restarts, [Draws(self._seed, restart) for restart in restarts])

    def _go_on(self, restarts: list[int], draws: list[Draws]) -> None:
        self.restarts, self._draws = restarts, draws
        self._rows = torch.tensor(restarts, dtype=torch.int64, device=self._curves.device)


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
