"""Noise on the update."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_positive

# torch is imported only by what uses it: the options are read by commands that must start at once.
if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Noisy(Imitation):
    """The imitation of noise, which adds nothing: more noise would only make the match worse.

    Args:
        noise_std: standard deviation of the noise on the observed update, as in `Imitation`.
    """

    def __init__(self, noise_std: float | Tensor) -> None:
        self.noise_std = noise_std


@dataclass(frozen=True)
class GaussianNoise(Defense):
    """Adds independent Gaussian noise to every entry of the update.

    Zhu et al., "Deep leakage from gradients", NeurIPS 2019, section 5.1.

    Attributes:
        std: standard deviation of the noise, in the unit of the update; 0.1 in the GIFD paper.
    """

    std: float = 0.01

    def __post_init__(self) -> None:
        check_positive("gaussian_noise: std", self.std)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        from gifd_bench.tasks.defenses.draws import gaussian_like

        return {name: value + self.std * gaussian_like(value, generator) for name, value in update.items()}

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        from gifd_bench.tasks.defenses.spread import GAUSSIAN, noise_std

        return Noisy(noise_std(observed, GAUSSIAN) if options is None else options["std"])


@dataclass(frozen=True)
class LaplaceNoise(Defense):
    """Adds independent Laplacian noise to every entry of the update.

    Zhu et al., "Deep leakage from gradients", NeurIPS 2019, section 5.1.

    Attributes:
        scale: mean magnitude of the noise, in the unit of the update; the standard deviation is sqrt(2)
            times as large.
    """

    scale: float = 0.01

    def __post_init__(self) -> None:
        check_positive("laplace_noise: scale", self.scale)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        from gifd_bench.tasks.defenses.draws import exponential_like

        # The difference of two exponential variates is Laplacian.
        return {
            name: value
            + self.scale * (exponential_like(value, generator) - exponential_like(value, generator))
            for name, value in update.items()
        }

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        from gifd_bench.tasks.defenses.spread import LAPLACE, noise_std

        if options is None:
            return Noisy(noise_std(observed, LAPLACE))
        return Noisy(math.sqrt(2) * options["scale"])
