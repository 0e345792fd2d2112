"""Noise on the update."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from tasks.defenses.base import Defense
from tasks.errors import TaskError


class GaussianNoise(Defense):
    """Independent Gaussian noise on every entry of the update (Zhu et al., "Deep leakage from
    gradients", NeurIPS 2019, section 5.1).

    Args:
        std: standard deviation of the noise, in the update's own unit.
    """

    def __init__(self, std: float = 0.01) -> None:
        if not (math.isfinite(std) and std > 0):
            raise TaskError(f"gaussian_noise: std must be a positive number, not {std}")
        self.std = std

    def apply(self, update: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        return {
            name: value + self.std * torch.randn(value.shape, generator=generator)
            for name, value in update.items()
        }
