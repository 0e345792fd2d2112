"""Search in pixel space: the common part of the attacks without a generator."""

from __future__ import annotations

import torch
from torch import Tensor

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.inversion.search import Lane, Search
from gifd_bench.common.pixels import valid_pixels


class PixelSearch(Attack):
    """Searches the inputs of the victim, from standard normal noise, in the box of valid pixels.

    The inputs are normalized, as the victim sees them and as the releases of these attacks search them.
    """

    def begin(self, stage: int, lane: Lane, ended: Search | None) -> Search:
        shape = (self.observation.batch_size, *self.observation.model.image_shape)
        return Search({"inputs": torch.randn(shape, generator=lane.draw("start")).to(self.device)})

    def render(self, search: Search) -> Tensor:
        return valid_pixels(self.client.denormalize(search.searched["inputs"]))

    def project(self, search: Search) -> None:
        inputs = search.searched["inputs"].data
        black = torch.zeros((), device=inputs.device)
        low, high = self.client.normalize(black), self.client.normalize(torch.ones_like(black))
        torch.clamp(inputs, low, high, out=inputs)
