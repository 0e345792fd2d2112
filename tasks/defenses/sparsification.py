"""Pruning by magnitude, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_fraction

# torch is imported only by what uses it: the options are read by commands that must start at once.
if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Sparsification(Defense):
    """Sets the entries of smallest magnitude of each parameter's update to zero.

    Aji and Heafield, "Sparse communication for distributed gradient descent", EMNLP 2017, with a threshold
    for each parameter and without residuals.

    Of n entries, floor(sparsity * n) are set to zero, so at least one stays. Among entries of equal
    magnitude, those that come first in the tensor are set to zero first. An attacker who knows the sparsity
    knows no more than one who sees the zeros.

    Attributes:
        sparsity: the fraction of each parameter's entries that is set to zero; 0.9 in the GIFD paper.
    """

    sparsity: float = 0.9

    def __post_init__(self) -> None:
        check_fraction("sparsification: sparsity", self.sparsity)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        from gifd_bench.tasks.defenses.masks import part, without_smallest

        return {
            name: without_smallest(value, part(self.sparsity, value.numel()))
            for name, value in update.items()
        }

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        from gifd_bench.tasks.defenses.masks import mask_of_zeros

        return mask_of_zeros(observed)
