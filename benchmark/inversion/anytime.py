"""The answers that an attack would have given if it had been stopped earlier."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.candidates import Candidate, is_better

# The answer is looked at after these numbers of gradient evaluations, and after 10, 100, … times as many.
STEPS = (1, 2, 5)
Restarts = Sequence[Sequence[Candidate]]


@dataclass(frozen=True)
class Snapshot:
    """The answer of an attack that is stopped at some moment.

    Attributes:
        gradient_evaluations: the evaluations spent until then, over all restarts.
        seconds: wall-clock time without interruptions. The device may lag behind, because nothing waits for
            it.
        matching_loss: the matching loss of the images, a scalar tensor.
        images: (B, 3, H, W) in [0, 1].
    """

    gradient_evaluations: int
    seconds: float
    matching_loss: Tensor
    images: Tensor


class Anytime:
    """Takes a snapshot after 1, 2, 5, 10, 20, 50, ... gradient evaluations.

    It takes each as soon after that number as an iterate is offered.

    Attributes:
        taken: the snapshots so far, on the attack's device.
    """

    def __init__(self) -> None:
        self.taken: list[Snapshot] = []
        self._next = 1
        self._spent_before = 0.0
        self._began = time.monotonic()

    def is_due(self, gradient_evaluations: int) -> bool:
        """Whether it is time for a snapshot."""
        return gradient_evaluations >= self._next

    def take(self, gradient_evaluations: int, restarts: Restarts, floor: float | Tensor) -> None:
        """Keep the present answer.

        Args:
            gradient_evaluations: the evaluations spent so far.
            restarts: for each restart, the best iterates of its stages so far, in the order of the stages.
            floor: the criterion at which candidates are good enough, as in `StopRule`.
        """
        bests = [_first_best(stages, floor) for stages in restarts]
        criteria = torch.stack([criterion for criterion, _, _ in bests])
        # Of shape (1,), because an index without a dimension would be copied from the device to the CPU.
        best = torch.where(torch.isfinite(criteria), criteria, torch.inf).argmin(keepdim=True)
        loss, images = (torch.stack([found[k] for found in bests]).index_select(0, best)[0] for k in (1, 2))
        self.taken.append(Snapshot(gradient_evaluations, self._spent(), loss, images))
        self._next = next_mark(gradient_evaluations)

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {"spent": self._spent(), "taken": [asdict(snapshot) for snapshot in self.taken]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from the state of a checkpoint."""
        self._spent_before, self._began = state["spent"], time.monotonic()
        self.taken = [Snapshot(**snapshot) for snapshot in state["taken"]]
        self._next = next_mark(self.taken[-1].gradient_evaluations) if self.taken else 1

    def _spent(self) -> float:
        return self._spent_before + time.monotonic() - self._began


def next_mark(gradient_evaluations: int) -> int:
    """The first of 1, 2, 5, 10, 20, 50, ... above a number of evaluations."""
    decade = int(10 ** (len(str(max(gradient_evaluations, 1))) - 1))
    return next(step * decade for step in (*STEPS, 10) if step * decade > gradient_evaluations)


def _first_best(stages: Sequence[Candidate], floor: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The criterion, loss and images of what `BestIterate` would keep of the stages.

    Nothing waits for the device.
    """
    criterion, loss, images = stages[0].criterion, stages[0].matching_loss, stages[0].images
    for stage in stages[1:]:
        better = is_better(stage.criterion, criterion, floor)
        criterion = torch.where(better, stage.criterion, criterion)
        loss = torch.where(better, stage.matching_loss, loss)
        images = torch.where(better, stage.images, images)
    return criterion, loss, images
