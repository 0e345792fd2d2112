"""Clipping of the update's norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_positive

# torch is imported only by what uses it: the options are read by commands that must start at once.
if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Clipping(Defense):
    """Scales the whole update down to a given l2 norm, if its norm is larger.

    McMahan et al., "Learning differentially private recurrent language models", ICLR 2018, section 2, flat
    clipping.

    Attributes:
        bound: the largest l2 norm over all parameters; 4 in the GIFD paper.
    """

    bound: float = 4.0

    def __post_init__(self) -> None:
        check_positive("clipping: bound", self.bound)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        from gifd_bench.tasks.defenses.norm import clip_factor, l2_norm

        factor = clip_factor(l2_norm(update.values()), self.bound)
        return {name: value * factor for name, value in update.items()}

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        from gifd_bench.tasks.defenses.norm import Clipped, observed_norm

        return Clipped(observed_norm(observed) if options is None else options["bound"])
