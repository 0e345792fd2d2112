"""Rounding an update to a grid, and imitating that."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from gifd_bench.tasks.defenses.base import Imitation, Update


class Quantized(Imitation):
    """Rounds to the observed grid; its derivative is that of the identity (the straight-through estimator
    of Bengio et al., "Estimating or propagating gradients through stochastic neurons", 2013).

    Args:
        scales: largest magnitude of each parameter's update.
        levels: above zero.
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
    """The signs, of the observed magnitude; its derivative is that of the identity, as for `Quantized`.

    Args:
        scales: magnitude of each parameter's update.
    """

    def __init__(self, scales: Iterable[Tensor]) -> None:
        self.scales = tuple(scales)

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(
            value + (scale * value.detach().sign() - value.detach())
            for value, scale in zip(update, self.scales, strict=True)
        )


def levels_of(bits: int) -> int:
    """Levels above zero."""
    return int(2 ** (bits - 1) - 1)


def scale_of(value: Tensor) -> Tensor:
    """The largest magnitude."""
    return value.abs().max()


def step_of(scale: Tensor, levels: int | Tensor) -> Tensor:
    """The distance of two levels; never 0, so that a tensor of zeros can be divided by it."""
    step: Tensor = (scale / levels).clamp(min=torch.finfo(scale.dtype).tiny)
    return step


def observed_levels(observed: Update, scales: list[Tensor]) -> Tensor:
    """How many levels there are above zero, a scalar: the largest magnitude of a parameter over its least
    above zero, in the parameter where the least is on the first level, as it is in any large one."""
    nonzero = [torch.where(value == 0, torch.inf, value.abs()) for value in observed.values()]
    ratios = [scale / values.min() for scale, values in zip(scales, nonzero, strict=True)]
    return torch.stack(ratios).max().clamp(min=1)


def rounding_noise(observed: Update, steps: list[Tensor]) -> Tensor:
    """Standard deviation of stochastic rounding over all entries, from above (by half at most in practice).

    The variance for a value f steps above its lower neighbor is f (1 - f) squared steps: 1/6 on average
    over all f, and at most f, which is less for the many entries below one step.
    """
    squared = [
        value.numel() * torch.minimum(step.square() / 6, step * value.abs().mean())
        for value, step in zip(observed.values(), steps, strict=True)
    ]
    return (torch.stack(squared).sum() / sum(value.numel() for value in observed.values())).sqrt()
