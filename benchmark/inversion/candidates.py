"""The best iterate of each restart, kept without waiting for the device."""

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
        stage: the name of the stage from which they come.
        images: (B, 3, H, W) in [0, 1].
        targets: (B,) int64 labels, or (B, classes) probabilities.
        matching_loss: a scalar tensor.
        criterion: the value by which candidates are chosen, a scalar tensor; lower is better.
        gradient_evaluations: the evaluations spent by the end of the stage, over all restarts so far.
    """

    stage: str
    images: Tensor
    targets: Tensor
    matching_loss: Tensor
    criterion: Tensor
    gradient_evaluations: int


@dataclass(frozen=True)
class Offer:
    """One iterate of each of R restarts.

    Attributes:
        criterion, matching_loss: (R,).
        images: (R, B, 3, H, W).
        targets: (R, B), or (R, B, classes).
        tensors: (R, ...) by name, from which the images were rendered; empty if nobody will need them.
    """

    criterion: Tensor
    matching_loss: Tensor
    images: Tensor
    targets: Tensor
    tensors: Mapping[str, Tensor]

    @staticmethod
    def of_best_members(offered: Offer, restarts: int) -> Offer:
        """The iterate with the lowest criterion among the members of each restart."""
        criterion = offered.criterion.view(restarts, -1)
        if criterion.shape[1] == 1:
            return offered
        finite = torch.where(torch.isfinite(criterion), criterion, torch.inf)
        best = finite.argmin(dim=1) + torch.arange(restarts, device=finite.device) * finite.shape[1]
        return offered.only(best)

    def only(self, places: Tensor) -> Offer:
        """Some of the iterates, by their places."""
        return Offer(
            self.criterion[places],
            self.matching_loss[places],
            self.images[places],
            self.targets[places],
            {name: tensor[places] for name, tensor in self.tensors.items()},
        )

    def detached(self) -> Offer:
        """A copy without a graph, in memory of its own."""
        return Offer(
            self.criterion.detach().clone(),
            self.matching_loss.detach().clone(),
            self.images.detach().clone(),
            self.targets.detach().clone(),
            {name: tensor.detach().clone() for name, tensor in self.tensors.items()},
        )


class BestIterate:
    """The iterate with the lowest criterion so far, for each restart, until one has reached the floor.

    The comparison stays on the device: it is a `where`, and not a branch.

    Args:
        floor: a scalar, or one value for each target, (targets,), if every target has the same number of
            restarts, one target after another; as in `StopRule`.
    """

    def __init__(self, floor: float | Tensor = -math.inf) -> None:
        self.floor = floor
        self.kept: Offer | None = None

    def offer(self, offered: Offer) -> None:
        """Compare one iterate of each restart with the best so far."""
        if self.kept is None:
            self.kept = offered.detached()
            return
        kept = self.kept
        floor = self.floor
        if isinstance(floor, Tensor) and floor.ndim:
            floor = floor.repeat_interleave(len(kept.criterion) // len(floor))
        better = is_better(offered.criterion.detach(), kept.criterion, floor)
        self.kept = Offer(
            _where(better, offered.criterion, kept.criterion),
            _where(better, offered.matching_loss, kept.matching_loss),
            _where(better, offered.images, kept.images),
            _where(better, offered.targets, kept.targets),
            {name: _where(better, offered.tensors[name], tensor) for name, tensor in kept.tensors.items()},
        )

    def keep(self, restarts: Tensor) -> None:
        """Forget all restarts except those at some places."""
        if self.kept is not None:
            self.kept = self.kept.only(restarts)

    def candidates(self, stage: str, gradient_evaluations: int) -> list[Candidate]:
        """The best iterate of each restart, with the name of the stage and the evaluations spent so far."""
        if self.kept is None:
            raise RuntimeError("no iterate was offered")
        kept = self.kept
        return [
            Candidate(
                stage,
                kept.images[r],
                kept.targets[r],
                kept.matching_loss[r],
                kept.criterion[r],
                gradient_evaluations,
            )
            for r in range(len(kept.criterion))
        ]


def _where(better: Tensor, offered: Tensor, kept: Tensor) -> Tensor:
    shape = (-1, *[1] * (kept.ndim - 1))
    return torch.where(better.view(shape), offered.detach(), kept)


def is_better(criterion: Tensor, kept: Tensor, floor: float | Tensor) -> Tensor:
    """Whether a candidate replaces the one kept so far.

    It does if its criterion is lower, and that of the kept one has not yet reached the floor. A criterion
    that is not finite is never better, and any other is better than it.
    """
    return ((criterion < kept) & (kept > floor)) | ~torch.isfinite(kept)


def first_best(candidates: list[Candidate], floor: float | Tensor) -> Candidate:
    """The candidate that `BestIterate` would keep among the stages of a restart, in their order."""
    best = candidates[0]
    for candidate in candidates[1:]:
        if bool(is_better(candidate.criterion, best.criterion, floor)):
            best = candidate
    return best
