"""Search in pixel space: the common part of the attacks without a generator."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.inversion.projections import valid_pixels


class PixelSearch(Attack):
    """Searches the victim's inputs, from standard normal noise, in the box of valid pixels.

    The inputs are normalised, as the victim sees them and as the releases of these attacks search them.
    """

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        return {"inputs": self.new_start(0)}

    def new_start(self, member: int) -> Tensor:
        """Where a search of the inputs starts: the same numbers for the same member, in every attack."""
        shape = (self.observation.batch_size, 3, self.image_size, self.image_size)
        return torch.randn(shape, generator=self.draw("start", member)).to(self.device)

    def render(self) -> Tensor:
        return valid_pixels(self.client.denormalise(self.searched["inputs"]))

    def project(self) -> None:
        low, high = self.client.normalise(torch.zeros(())), self.client.normalise(torch.ones(()))
        inputs = self.searched["inputs"].data
        torch.clamp(inputs, low, high, out=inputs)
