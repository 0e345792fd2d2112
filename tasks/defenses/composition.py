"""Several defenses, applied one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gifd_bench.common.hashing import stream
from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.names import kind_of
from gifd_bench.tasks.errors import TaskError

# torch is imported only by what uses it: the options are read by commands that must start at once.
if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Imitations(Imitation):
    """Imitates several defenses, in the order in which they were applied.

    Args:
        parts: the imitation of each defense; their noises are independent.
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
    """Several defenses, applied one after another.

    Each part has a random generator of its own, which depends on the kind of the part, but not on its
    settings, its place or the other parts. Noise is therefore the same draw with and without a clipping
    before it, and a sweep over strengths scales one draw. A second part of the same kind draws other
    numbers than the first.

    Attributes:
        parts: the defenses, in the order in which they are applied. At most one of them may compute the
            gradient of a local step in a way of its own.
    """

    parts: tuple[Defense, ...]

    def __post_init__(self) -> None:
        own = [part for part in self.parts if _has_own_gradient(part)]
        if len(own) > 1:
            names = " and ".join(type(part).__name__ for part in own)
            raise TaskError(f"{names} both compute the gradient in their own way; use one of them")

    def gradient(self, batch: PrivateBatch, generator: torch.Generator) -> tuple[Tensor, ...]:
        for part, its_generator in self._with_generators(generator):
            if _has_own_gradient(part):
                return part.gradient(batch, its_generator)
        return super().gradient(batch, generator)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        sent = dict(update)
        for part, its_generator in self._with_generators(generator):
            sent = part.apply(sent, batch, its_generator)
        return sent

    def _with_generators(self, generator: torch.Generator) -> Iterator[tuple[Defense, torch.Generator]]:
        """The parts with their generators, which are all made from one number of the given generator."""
        import torch

        device = generator.device
        drawn = int(torch.randint(1 << 62, (), generator=generator, device=device))
        earlier: Counter[str] = Counter()
        for part in self.parts:
            kind = kind_of(type(part))
            seed = stream(drawn, kind, earlier[kind])
            earlier[kind] += 1
            yield part, torch.Generator(device).manual_seed(seed)


def composed(defense: Defense) -> Composition:
    """A defense as a composition. A single defense becomes its only part, and draws as among others."""
    return defense if isinstance(defense, Composition) else Composition((defense,))


def _has_own_gradient(part: Defense) -> bool:
    return type(part).gradient is not Defense.gradient
