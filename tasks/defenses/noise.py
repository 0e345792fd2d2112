"""Noise on the update."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_positive
from gifd_bench.tasks.defenses.spread import GAUSSIAN, LAPLACE, noise_std


class Noisy(Imitation):
    """Adds nothing: an attacker who knows how strong the noise is, and whose own would only add to it.

    Args:
        noise_std: see `Imitation`.
    """

    def __init__(self, noise_std: float | Tensor) -> None:
        self.noise_std = noise_std


@dataclass(frozen=True)
class GaussianNoise(Defense):
    """Independent Gaussian noise on every entry of the update (Zhu et al., "Deep leakage from
    gradients", NeurIPS 2019, section 5.1).

    Attributes:
        std: standard deviation of the noise, in the update's own unit; 0.1 in the GIFD paper.
    """

    std: float = 0.01

    def __post_init__(self) -> None:
        check_positive("gaussian_noise: std", self.std)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: value + self.std * gaussian_like(value, generator) for name, value in update.items()}

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        return Noisy(noise_std(observed, GAUSSIAN) if options is None else options["std"])


@dataclass(frozen=True)
class LaplaceNoise(Defense):
    """Independent Laplacian noise on every entry of the update (Zhu et al., "Deep leakage from
    gradients", NeurIPS 2019, section 5.1).

    Attributes:
        scale: mean magnitude of the noise, in the update's own unit; its standard deviation is
            sqrt(2) times as large.
    """

    scale: float = 0.01

    def __post_init__(self) -> None:
        check_positive("laplace_noise: scale", self.scale)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        # The difference of two exponential variates is Laplacian.
        return {
            name: value
            + self.scale * (exponential_like(value, generator) - exponential_like(value, generator))
            for name, value in update.items()
        }

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        if options is None:
            return Noisy(noise_std(observed, LAPLACE))
        return Noisy(math.sqrt(2) * options["scale"])


def gaussian_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal entries of the value's shape, type and device, drawn on the generator's own."""
    drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype, device=generator.device)
    return drawn.to(value.device)


def exponential_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Exponential entries of mean 1, likewise."""
    drawn = torch.empty(value.shape, dtype=value.dtype, device=generator.device)
    return drawn.exponential_(generator=generator).to(value.device)
