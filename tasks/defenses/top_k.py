"""The largest entries of the whole update, with error feedback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_fraction
from gifd_bench.tasks.errors import TaskError

# torch is imported only by what uses it: the options are read by commands that must start at once.
if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class TopK(Defense):
    """Sends only the k entries of largest magnitude, and adds what it held back to the next update.

    Stich et al., "Sparsified SGD with memory", NeurIPS 2018, algorithm 1; Lin et al., "Deep gradient
    compression", ICLR 2018, section 3.

    The client takes part in several rounds with the same batch and weights, and its memory is empty before
    the first. What it sends in the last round is the update under attack. An entry that is sent then holds
    its value as many times as it was held back since it was last sent, which the attacker does not see.

    Of n entries of the whole update, floor(fraction * n) are sent, and at least one. Among entries of equal
    magnitude, those that come last are sent first.

    Attributes:
        fraction: the fraction of the update's entries that is sent; 0.001 to 0.01 in practice.
        rounds: the number of rounds of the client; with 1, nothing was held back before.
    """

    fraction: float = 0.01
    rounds: int = 1

    def __post_init__(self) -> None:
        check_fraction("top_k: fraction", self.fraction)
        if not self.rounds >= 1:
            raise TaskError(f"top_k: rounds must be at least 1, not {self.rounds}")

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        import torch

        from gifd_bench.tasks.defenses.masks import part, without_smallest

        flat = torch.cat([value.flatten() for value in update.values()])
        held_back = len(flat) - max(1, part(self.fraction, len(flat)))
        memory = torch.zeros_like(flat)
        for _ in range(self.rounds):
            owed = memory + flat
            sent = without_smallest(owed, held_back)
            memory = owed - sent
        pieces = torch.split(sent, [value.numel() for value in update.values()])
        return {
            name: piece.view(value.shape).to(value.dtype)
            for (name, value), piece in zip(update.items(), pieces, strict=True)
        }

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        from gifd_bench.tasks.defenses.masks import mask_of_zeros

        return mask_of_zeros(observed)
