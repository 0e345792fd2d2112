"""Priors as a user names them."""

from __future__ import annotations

from pathlib import Path

from gifd_bench.priors.base import Prior
from gifd_bench.priors.generators.resnet import ResNetPrior
from gifd_bench.priors.weights_file import load_generator

WEIGHTS = Path(__file__).parent / "weights"


def cifar10() -> Prior:
    """Conditional residual generator at 32x32, trained on CIFAR-10; weights are bundled."""
    return from_file(WEIGHTS / "cifar10.safetensors")


def from_file(weights: Path) -> Prior:
    """A generator that `gifd-bench train-prior` wrote.

    Args:
        weights: its safetensors file.
    """
    return ResNetPrior(load_generator(weights))
