"""Rounding an update to a grid, and imitating such rounding."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from gifd_bench.tasks.defenses.base import Imitation, Update


class Quantized(Imitation):
    """Rounds to the observed grid, with the derivative of the identity.

    This is the straight-through estimator of Bengio et al., "Estimating or propagating gradients through
    stochastic neurons", 2013.

    Args:
        scales: the largest magnitude of each parameter's update.
        levels: the number of levels above zero.
    """

    def __init__(self, scales: Iterable[Tensor], levels: int) -> None:
        self.steps = tuple(step_of(scale, levels) for scale in scales)
        self.levels = levels

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self._round(value, step) for value, step in zip(update, self.steps, strict=True))

    def _round(self, value: Tensor, step: Tensor) -> Tensor:
        fixed = value.detach()
        rounded = (fixed / step).round().clamp(-self.levels, self.levels) * step
        return value + (rounded - fixed)


class Signed(Imitation):
    """The signs, with the observed magnitude and, as in `Quantized`, the derivative of the identity.

    Args:
        scales: the magnitude of each parameter's update.
    """

    def __init__(self, scales: Iterable[Tensor]) -> None:
        self.scales = tuple(scales)

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(
            value + (scale * value.detach().sign() - value.detach())
            for value, scale in zip(update, self.scales, strict=True)
        )


def levels_of(bits: int) -> int:
    """The number of levels above zero for a number of bits."""
    return int(2 ** (bits - 1) - 1)


def scale_of(value: Tensor) -> Tensor:
    """The largest magnitude of a tensor."""
    return value.abs().max()


def step_of(scale: Tensor, levels: int | Tensor) -> Tensor:
    """The distance between two levels; never 0, so a tensor of zeros can be divided by it."""
    step: Tensor = (scale / levels).clamp(min=torch.finfo(scale.dtype).tiny)
    return step


def observed_levels(observed: Update, scales: list[Tensor]) -> Tensor:
    """The number of levels above zero, a scalar, as it can be read from a rounded update.

    It is the largest magnitude of a parameter over its smallest magnitude above zero, in the parameter
    whose smallest magnitude is on the first level. In any large parameter it is.
    """
    nonzero = [torch.where(value == 0, torch.inf, value.abs()) for value in observed.values()]
    ratios = [scale / values.min() for scale, values in zip(scales, nonzero, strict=True)]
    return torch.stack(ratios).max().clamp(min=1)


def rounding_noise(observed: Update, steps: list[Tensor]) -> Tensor:
    """An upper estimate of the standard deviation of stochastic rounding over all entries.

    It is at most half too large in practice. The variance for a value f steps above its lower neighbor is f
    (1 - f) squared steps: 1/6 on average over all f, and at most f, which is less for the many entries
    below one step.
    """
    squared = [
        value.numel() * torch.minimum(step.square() / 6, step * value.abs().mean())
        for value, step in zip(observed.values(), steps, strict=True)
    ]
    return (torch.stack(squared).sum() / sum(value.numel() for value in observed.values())).sqrt()
