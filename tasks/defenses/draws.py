"""Random draws of defenses at strength 1. The strength is a factor, so all strengths share a draw."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal entries of the shape, type and device of a tensor."""
    drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype, device=generator.device)
    return drawn.to(value.device)


def exponential_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Exponential entries with mean 1, of the shape, type and device of a tensor."""
    drawn = torch.empty(value.shape, dtype=value.dtype, device=generator.device)
    return drawn.exponential_(generator=generator).to(value.device)


def uniform_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Entries that are uniform from 0 to 1, of the shape, type and device of a tensor."""
    drawn = torch.rand(value.shape, generator=generator, dtype=value.dtype, device=generator.device)
    return drawn.to(value.device)
