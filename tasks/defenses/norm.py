"""Limiting the norm of an update."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from gifd_bench.tasks.defenses.base import Imitation, Update


class Clipped(Imitation):
    """Clips the update of candidate images.

    Args:
        bound: the largest l2 norm, positive.
        noise_std: standard deviation of noise that the client adds and the attacker does not, as in
            `Imitation`.
    """

    def __init__(self, bound: float | Tensor, noise_std: float | Tensor = 0.0) -> None:
        self.bound = bound
        self.noise_std = noise_std

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        factor = clip_factor(l2_norm(update), self.bound)
        return tuple(value * factor for value in update)


def l2_norm(tensors: Iterable[Tensor]) -> Tensor:
    """The l2 norm of all entries of all tensors together, a scalar on their device."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(t) for t in tensors]))
    return norm


def observed_norm(observed: Update) -> Tensor:
    """The estimate of a bound that was not granted: an update that was clipped has exactly this norm."""
    return l2_norm(observed.values()).clamp(min=torch.finfo(torch.float32).tiny)


def clip_factor(norm: Tensor, bound: float | Tensor) -> Tensor:
    """min(1, bound / norm), with a finite derivative at a norm of 0.

    Args:
        norm: of any shape.
        bound: positive.
    """
    return torch.where(norm > bound, bound / norm.clamp(min=bound), 1.0)
