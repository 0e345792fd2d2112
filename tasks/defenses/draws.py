"""What defenses draw at random, at strength 1: the strength is a factor, and all strengths share a draw."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal entries of the value's shape, type and device, drawn on the generator's own."""
    drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype, device=generator.device)
    return drawn.to(value.device)


def exponential_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Exponential entries of mean 1, likewise."""
    drawn = torch.empty(value.shape, dtype=value.dtype, device=generator.device)
    return drawn.exponential_(generator=generator).to(value.device)


def uniform_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Entries from 0 to 1, likewise."""
    drawn = torch.rand(value.shape, generator=generator, dtype=value.dtype, device=generator.device)
    return drawn.to(value.device)
