"""Random numbers of a search, named for what they are drawn for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gifd_bench.common.hashing import stream


class Draws:
    """A generator for each purpose of one restart, derived from the attack's seed, the restart, the purpose
    and an index alone: what one option draws never shifts what another draws, and attacks that draw for
    the same purpose share their random numbers.

    Args:
        seed: of the attack.
        restart: counted from 0.
    """

    def __init__(self, seed: int, restart: int) -> None:
        self._seed, self._restart = seed, restart
        self._generators: dict[tuple[str, int], torch.Generator] = {}

    def afresh(self) -> Draws:
        """The same, from the start of each purpose's numbers."""
        return Draws(self._seed, self._restart)

    def seed(self, purpose: str, index: int = 0) -> int:
        """A seed for what draws its numbers by itself."""
        return stream(self._seed, purpose, self._restart, index)

    def generator(self, purpose: str, index: int = 0) -> torch.Generator:
        """The generator of a purpose, on the CPU; it goes on where it was left in this restart."""
        key = (purpose, index)
        if key not in self._generators:
            self._generators[key] = torch.Generator().manual_seed(self.seed(purpose, index))
        return self._generators[key]

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {f"{name} {k}": generator.get_state() for (name, k), generator in self._generators.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """From a checkpoint of the same restart."""
        for key, saved in state.items():
            purpose, _, index = key.rpartition(" ")
            self.generator(purpose, int(index)).set_state(saved.cpu())
