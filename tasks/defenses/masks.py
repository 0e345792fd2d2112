"""Defenses that send zeros in place of some entries: choosing the entries, and imitating the choice."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import torch
from torch import Tensor

from gifd_bench.tasks.defenses.base import Imitation, Update


class Masked(Imitation):
    """Zeroes what the client zeroed.

    Args:
        masks: what to multiply each parameter with, False where it is zeroed; None leaves it as it is.
    """

    def __init__(self, masks: Iterable[Tensor | None]) -> None:
        self.masks = tuple(masks)

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        pairs = zip(update, self.masks, strict=True)
        return tuple(value if mask is None else value * mask for value, mask in pairs)


def mask_of_zeros(observed: Update) -> Masked:
    """The mask that an attacker sees; where a later defense hid the zeros, as noise does, there is none."""
    return Masked(value != 0 for value in observed.values())


def part(fraction: float, entries: int) -> int:
    """floor(fraction * entries), of the decimal fraction as it is written: 0.29 of 100 are 29, and not
    the 28 of floating-point arithmetic."""
    return math.floor(Fraction(str(fraction)) * entries)


def smallest(values: Tensor, count: int) -> Tensor:
    """Indices into the flattened values of the `count` least; of equals, those that come first."""
    return torch.argsort(values.flatten(), stable=True)[:count]


def without_smallest(values: Tensor, count: int) -> Tensor:
    """A copy with the `count` entries of least magnitude set to zero; of equals, those that come first."""
    flat = values.flatten()
    return flat.index_fill(0, smallest(flat.abs(), count), 0).view(values.shape)
