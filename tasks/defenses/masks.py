"""Defenses that send zeros in place of some entries: choosing these entries, and imitating the choice."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import torch
from torch import Tensor

from gifd_bench.tasks.defenses.base import Imitation, Update


class Masked(Imitation):
    """Sets to zero what the client set to zero.

    Args:
        masks: a factor for each parameter, False where it is set to zero; `None` leaves the parameter as it
            is.
    """

    def __init__(self, masks: Iterable[Tensor | None]) -> None:
        self.masks = tuple(masks)

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        pairs = zip(update, self.masks, strict=True)
        return tuple(value if mask is None else value * mask for value, mask in pairs)


def mask_of_zeros(observed: Update) -> Masked:
    """The mask that an attacker can see.

    A later defense may have hidden the zeros, as noise does; then nothing is masked.
    """
    masks = [value != 0 for value in observed.values()]
    return Masked(None if mask.all() else mask for mask in masks)


def part(fraction: float, entries: int) -> int:
    """floor(fraction * entries), for the decimal fraction as it is written.

    For instance, 0.29 of 100 entries are 29, and not the 28 of floating-point arithmetic.
    """
    return math.floor(Fraction(str(fraction)) * entries)


def smallest(values: Tensor, count: int) -> Tensor:
    """Indices into the flattened values of the `count` smallest; among equal values, the first ones."""
    return torch.argsort(values.flatten(), stable=True)[:count]


def without_smallest(values: Tensor, count: int) -> Tensor:
    """A copy whose `count` entries of smallest magnitude are zero; among equal ones, the first ones."""
    flat = values.flatten()
    return flat.index_fill(0, smallest(flat.abs(), count), 0).view(values.shape)
