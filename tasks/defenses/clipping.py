"""A bound on the update's norm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_positive


class Clipped(Imitation):
    """Clips the candidate's update.

    Args:
        bound: as of `clip_factor`.
    """

    def __init__(self, bound: float | Tensor) -> None:
        self.bound = bound

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        factor = clip_factor(l2_norm(update), self.bound)
        return tuple(value * factor for value in update)


@dataclass(frozen=True)
class Clipping(Defense):
    """The whole update is scaled down to an l2 norm, where it is larger (McMahan et al., "Learning
    differentially private recurrent language models", ICLR 2018, section 2, flat clipping).

    Attributes:
        bound: on the l2 norm over all parameters; 4 in the GIFD paper.
    """

    bound: float = 4.0

    def __post_init__(self) -> None:
        check_positive("clipping: bound", self.bound)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        factor = clip_factor(l2_norm(update.values()), self.bound)
        return {name: value * factor for name, value in update.items()}

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        return Clipped(observed_norm(observed) if options is None else options["bound"])


def l2_norm(tensors: Iterable[Tensor]) -> Tensor:
    """The l2 norm of all entries of all tensors together, a scalar on their device."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(t) for t in tensors]))
    return norm


def observed_norm(observed: Update) -> Tensor:
    """The estimate of a bound that was not granted: what was clipped has just that norm."""
    return l2_norm(observed.values()).clamp(min=torch.finfo(torch.float32).tiny)


def clip_factor(norm: Tensor, bound: float | Tensor) -> Tensor:
    """min(1, bound / norm), with a finite derivative at a norm of 0.

    Args:
        norm: of any shape.
        bound: positive.
    """
    return torch.where(norm > bound, bound / norm.clamp(min=bound), 1.0)
