"""Defenses that a client may apply to its update, by name."""

from __future__ import annotations

from tasks.defenses.base import Defense, NoDefense
from tasks.defenses.noise import GaussianNoise

DEFENSES: dict[str, type[Defense]] = {
    "none": NoDefense,
    "gaussian_noise": GaussianNoise,
}

__all__ = ["DEFENSES", "Defense", "GaussianNoise", "NoDefense"]
