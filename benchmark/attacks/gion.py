"""Generative gradient Inversion via Over-parameterised Networks (GION)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.func import functional_call
from torch.optim import Adam, Optimizer

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.attacks.pixel_options import GIONOptions
from gifd_bench.benchmark.inversion.over_parameterized import LATENT, OverParameterizedNetwork, wide_enough
from gifd_bench.benchmark.inversion.weights import as_searched, as_weights


class GION(Attack):
    """Generative gradient Inversion with an Over-parameterised Network, an untrained one: its weights are
    searched, its latents are not.

    Zhang et al., "Generative gradient inversion via over-parameterized networks in federated learning",
    ICCV 2023. As in the authors' release there is one network for the whole batch, whose images share all
    but their latents; the matching loss is the cosine distance, nothing is added to it, and Adam sees
    the sign of the gradient, at a constant learning rate.
    """

    Options: ClassVar[type[GIONOptions]] = GIONOptions
    options: GIONOptions

    def prepare(self) -> None:
        self.width = wide_enough(
            self.image_size, self.observation.batch_size, self.options.weights_per_pixel
        )
        with torch.device("meta"):
            # The architecture alone, in a tuple: no submodule, which would be checkpointed.
            self._network = (OverParameterizedNetwork(self.image_size, self.width),)

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        latents = torch.randn(self.observation.batch_size, LATENT, generator=self.draw("start"))
        self.held = {"latents": latents.to(self.device)}
        seed = self.draws.seed("weights")
        network = OverParameterizedNetwork(self.image_size, self.width, seed).to(self.device)
        return as_searched(dict(network.named_parameters()))

    def render(self) -> Tensor:
        (network,) = self._network
        images: Tensor = functional_call(network, as_weights(dict(self.searched)), (self.held["latents"],))
        return images

    def optimizer(self, stage: Stage) -> tuple[Optimizer, None]:
        return Adam(self.searched.values(), lr=self.options.learning_rate), None

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        for weight in self.searched.values():
            assert weight.grad is not None
            weight.grad.sign_()
