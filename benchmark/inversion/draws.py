"""Random numbers of a search, with a generator for each purpose."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gifd_bench.common.hashing import stream


class Draws:
    """A random generator for each purpose of one restart.

    It is derived only from the attack's seed, the restart, the purpose and an index. What one option draws
    therefore never changes what another draws, and attacks that draw for the same purpose share their
    random numbers.

    Args:
        seed: the seed of the attack.
        restart: the number of the restart, from 0.
    """

    def __init__(self, seed: int, restart: int) -> None:
        self._seed, self._restart = seed, restart
        self._generators: dict[tuple[str, int], torch.Generator] = {}

    def afresh(self) -> Draws:
        """A copy that starts again at the first number of each purpose."""
        return Draws(self._seed, self._restart)

    def seed(self, purpose: str, index: int = 0) -> int:
        """A seed for something that draws its numbers itself."""
        return stream(self._seed, purpose, self._restart, index)

    def generator(self, purpose: str, index: int = 0) -> torch.Generator:
        """The generator of a purpose, on the CPU; it continues where it was left in this restart."""
        key = (purpose, index)
        if key not in self._generators:
            self._generators[key] = torch.Generator().manual_seed(self.seed(purpose, index))
        return self._generators[key]

    def state(self) -> dict[str, Tensor]:
        """The state for a checkpoint."""
        return {f"{name} {k}": generator.get_state() for (name, k), generator in self._generators.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a checkpoint of the same restart."""
        for key, saved in state.items():
            purpose, _, index = key.rpartition(" ")
            self.generator(purpose, int(index)).set_state(saved.cpu())
