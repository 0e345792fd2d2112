"""Several defenses in turn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.errors import TaskError


class Imitations(Imitation):
    """Imitates several defenses, in the order in which they were applied.

    Args:
        parts: the imitation of each; their noises are independent.
    """

    def __init__(self, parts: tuple[Imitation, ...]) -> None:
        self.parts = parts
        self.noise_std = sum(part.noise_std**2 for part in parts) ** 0.5

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for part in self.parts:
            update = part(update)
        return update


@dataclass(frozen=True)
class Composition(Defense):
    """Several defenses, applied in turn; what an attacker makes of them is in `knowledge`.

    Attributes:
        parts: in the order in which they are applied; at most one has a way of its own to compute the
            gradient of a local step.
    """

    parts: tuple[Defense, ...]

    def __post_init__(self) -> None:
        if len(self._own_gradients()) > 1:
            names = " and ".join(type(part).__name__ for part in self._own_gradients())
            raise TaskError(f"{names} both compute the gradient in their own way; use one of them")

    def gradient(self, batch: PrivateBatch, generator: torch.Generator) -> tuple[Tensor, ...]:
        for part in self._own_gradients():
            return part.gradient(batch, generator)
        return super().gradient(batch, generator)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        sent = dict(update)
        for part in self.parts:
            sent = part.apply(sent, batch, generator)
        return sent

    def _own_gradients(self) -> list[Defense]:
        return [part for part in self.parts if type(part).gradient is not Defense.gradient]
