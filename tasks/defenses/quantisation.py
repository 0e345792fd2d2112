"""Fewer bits an entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from gifd_bench.tasks.choices import check_choices
from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.noise import Noisy
from gifd_bench.tasks.errors import TaskError


class Quantised(Imitation):
    """Rounds to the observed grid; its derivative is that of the identity (the straight-through estimator
    of Bengio et al., "Estimating or propagating gradients through stochastic neurons", 2013).

    Args:
        scales: largest magnitude of each parameter's update.
        levels: above zero.
    """

    def __init__(self, scales: Iterable[Tensor], levels: int) -> None:
        self.steps = tuple(_step(scale, levels) for scale in scales)
        self.levels = levels

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self._round(value, step) for value, step in zip(update, self.steps, strict=True))

    def _round(self, value: Tensor, step: Tensor) -> Tensor:
        fixed = value.detach()
        rounded = (fixed / step).round().clamp(-self.levels, self.levels) * step
        return value + (rounded - fixed)


class Signed(Imitation):
    """The signs, of the observed magnitude; its derivative is that of the identity, as for `Quantised`.

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


@dataclass(frozen=True)
class Quantisation(Defense):
    """Each parameter's update is rounded to a uniform grid between plus and minus its largest magnitude
    (Alistarh et al., "QSGD: communication-efficient SGD via gradient quantization and encoding", NeurIPS
    2017, section 3.1, with the maximum in the place of the l2 norm).

    Stochastic rounding, QSGD's, goes to either neighbour with a chance that keeps the mean. The clean
    update is then the best guess of the rounded one (rounding it to the nearest is further off), so that
    an attacker imitates nothing, and takes the difference for noise. Rounding to the nearest is imitated
    exactly, with the magnitudes that are observed. An attacker who is not told the rounding supposes the
    stochastic one.

    Attributes:
        bits: an entry, the sign among them: 2^(bits - 1) - 1 levels above zero; 2 to 16.
        rounding: `stochastic`, or to the `nearest` level.
    """

    bits: int = 8
    rounding: Literal["stochastic", "nearest"] = "stochastic"

    def __post_init__(self) -> None:
        check_choices(self, "quantisation")
        if self.bits not in range(2, 17):
            raise TaskError(f"quantisation: bits must be a whole number from 2 to 16, not {self.bits}")

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: self._round(value, generator) for name, value in update.items()}

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        scales = [_scale(value) for value in observed.values()]
        if options is not None and options["rounding"] == "nearest":
            return Quantised(scales, _levels(options["bits"]))
        levels = _observed_levels(observed, scales) if options is None else _levels(options["bits"])
        return Noisy(_rounding_noise(observed, [_step(scale, levels) for scale in scales]))

    def _round(self, value: Tensor, generator: torch.Generator) -> Tensor:
        levels = _levels(self.bits)
        step = _step(_scale(value), levels)
        position = value / step
        if self.rounding == "nearest":
            position = position.round()
        else:
            drawn = torch.rand(value.shape, generator=generator, dtype=value.dtype, device=generator.device)
            position = (position + drawn.to(value.device)).floor()
        return position.clamp(-levels, levels) * step


@dataclass(frozen=True)
class Sign(Defense):
    """Only the signs of each parameter's update are sent, and its mean magnitude (Bernstein et al.,
    "signSGD: compressed optimisation for non-convex problems", ICML 2018, algorithm 1; with the magnitude
    as in Karimireddy et al., "Error feedback fixes SignSGD", ICML 2019). Zero stays zero.
    """

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: value.abs().mean() * value.sign() for name, value in update.items()}

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        return Signed(_scale(value) for value in observed.values())


def _levels(bits: int) -> int:
    return int(2 ** (bits - 1) - 1)


def _scale(value: Tensor) -> Tensor:
    return value.abs().max()


def _step(scale: Tensor, levels: int | Tensor) -> Tensor:
    # Never 0, so that a tensor of zeros can be divided by it.
    step: Tensor = (scale / levels).clamp(min=torch.finfo(scale.dtype).tiny)
    return step


def _observed_levels(observed: Update, scales: list[Tensor]) -> Tensor:
    """How many levels there are above zero, a scalar: the largest magnitude of a parameter over its least
    above zero, in the parameter where the least is on the first level, as it is in any large one."""
    nonzero = [torch.where(value == 0, torch.inf, value.abs()) for value in observed.values()]
    ratios = [scale / its.min() for scale, its in zip(scales, nonzero, strict=True)]
    return torch.stack(ratios).max().clamp(min=1)


def _rounding_noise(observed: Update, steps: list[Tensor]) -> Tensor:
    """Standard deviation of stochastic rounding over all entries, from above (by half at most in practice).

    The variance for a value f steps above its lower neighbour is f (1 - f) squared steps: 1/6 on average
    over all f, and at most f, which is less for the many entries below one step.
    """
    squared = [
        value.numel() * torch.minimum(step.square() / 6, step * value.abs().mean())
        for value, step in zip(observed.values(), steps, strict=True)
    ]
    return (torch.stack(squared).sum() / sum(value.numel() for value in observed.values())).sqrt()
