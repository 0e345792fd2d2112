"""Keeping the best iterate, without ever waiting for the device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Candidate:
    """Images, their labels, and how good exactly these are, as one object.

    Attributes:
        stage: name of the stage that they come from.
        images: (B, 3, H, W) in [0, 1].
        targets: (B,) int64 labels, or (B, classes) probabilities.
        matching_loss: scalar tensor.
        criterion: what candidates are chosen by, lower is better: scalar tensor.
        gradient_evaluations: spent by the end of the stage, over all restarts so far.
    """

    stage: str
    images: Tensor
    targets: Tensor
    matching_loss: Tensor
    criterion: Tensor
    gradient_evaluations: int


class BestIterate:
    """The iterate with the lowest criterion so far, until one has come down to the floor.

    The comparison stays on the device: a `where`, not a branch.

    Args:
        floor: scalar; see `gifd_bench.benchmark.inversion.stopping`.
    """

    def __init__(self, floor: float | Tensor = -math.inf) -> None:
        self.floor = floor
        self.kept: dict[str, Tensor] = {}

    def offer(self, criterion: Tensor, matching_loss: Tensor, images: Tensor, targets: Tensor) -> None:
        """Show one iterate: see `Candidate`."""
        offered = {
            "criterion": criterion.detach(),
            "matching_loss": matching_loss.detach(),
            "images": images.detach(),
            "targets": targets.detach(),
        }
        if not self.kept:
            self.kept = {name: value.clone() for name, value in offered.items()}
            return
        better = is_better(offered["criterion"], self.kept["criterion"], self.floor)
        self.kept = {name: torch.where(better, value, self.kept[name]) for name, value in offered.items()}

    def candidate(self, stage: str, gradient_evaluations: int) -> Candidate:
        """The best iterate seen, under the stage's name, with what was spent until then."""
        if not self.kept:
            raise RuntimeError("no iterate was offered")
        return Candidate(stage, **self.kept, gradient_evaluations=gradient_evaluations)

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return dict(self.kept)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """From a checkpoint."""
        self.kept = dict(state)


def is_better(criterion: Tensor, kept: Tensor, floor: float | Tensor) -> Tensor:
    """Whether a candidate takes the place of the one kept so far: its criterion is lower, and that one's
    has not yet come down to the floor.

    None is better by being not finite, and any is better than one that is not.
    """
    return ((criterion < kept) & (kept > floor)) | ~torch.isfinite(kept)


def first_best(candidates: list[Candidate], floor: float | Tensor) -> Candidate:
    """Of the stages of a restart in order, the one that `BestIterate` would keep."""
    best = candidates[0]
    for candidate in candidates[1:]:
        if bool(is_better(candidate.criterion, best.criterion, floor)):
            best = candidate
    return best
