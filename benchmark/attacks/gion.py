"""Generative gradient Inversion via Over-parameterized Networks (GION)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.attacks.pixel_options import GIONOptions
from gifd_bench.benchmark.inversion.over_parameterized import LATENT, Architecture, wide_enough
from gifd_bench.benchmark.inversion.search import Lane, Search


class GION(Attack):
    """GION: searches the weights of an untrained, over-parameterized generator, with fixed latents.

    Zhang et al., "Generative gradient inversion via over-parameterized networks in federated learning",
    ICCV 2023. As in the authors' release, there is one network for the whole batch, whose images share
    everything except their latents. The matching loss is the cosine distance, nothing is added to it, and
    Adam sees the sign of the gradient, at a constant learning rate.
    """

    Options: ClassVar[type[GIONOptions]] = GIONOptions
    packs: ClassVar[bool] = True
    options: GIONOptions

    def prepare(self) -> None:
        shape = self.observation.model.image_shape
        width = wide_enough(shape, self.observation.batch_size, self.options.weights_per_pixel)
        self.architecture = Architecture(shape, width)

    def begin(self, stage: int, lane: Lane, ended: Search | None) -> Search:
        latents = torch.randn(self.observation.batch_size, LATENT, generator=lane.draw("start"))
        weights = self.architecture.weights(lane.draws.seed("weights"))
        on_device = {name: weight.to(self.device) for name, weight in weights.items()}
        return Search(on_device, {"latents": latents.to(self.device)})

    def render(self, search: Search) -> Tensor:
        lanes = [
            self.architecture.images(latents, {n: weight[i] for n, weight in search.searched.items()})
            for i, latents in enumerate(search.held["latents"])
        ]
        return torch.stack(lanes)

    def optimizer(self, stage: Stage) -> tuple[Optimizer, None]:
        return Adam(self.parameters_searched(), lr=self.options.learning_rate), None

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        for weight in self.parameters_searched():
            assert weight.grad is not None
            weight.grad.sign_()
