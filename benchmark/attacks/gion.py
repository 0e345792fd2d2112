"""Generative gradient Inversion via Over-parameterised Networks (GION)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.optim import Adam, Optimizer

from gifd_bench.benchmark.attacks.base import Attack, Stage
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.matching import Cosine, MatchingLoss
from gifd_bench.benchmark.inversion.over_parameterized import LATENT, OverParameterizedNetwork, wide_enough
from gifd_bench.benchmark.inversion.weights import as_searched, as_weights


class GION(Attack):
    """Generative gradient Inversion with an Over-parameterised Network, an untrained one: its weights are
    searched, its latents are not.

    Zhang et al., "Generative gradient inversion via over-parameterized networks in federated learning",
    ICCV 2023. As in the authors' release there is one network for the whole batch, whose images share all
    but their latents; the matching loss is the cosine distance, nothing is added to it, and Adam sees
    the sign of the gradient, at a constant learning rate.

    Args:
        iterations: of a restart (1,000 at 32x32 and 30,000 at 256x256 in the release).
        learning_rate: of Adam.
        weights_per_pixel: the network's width doubles, from 32 channels, until it has more weights than
            this for each pixel of the batch.
        loss: the matching loss; null for the paper's `Cosine`.
        common: see `Attack`.
    """

    def __init__(
        self,
        iterations: int = 1000,
        learning_rate: float = 1e-3,
        weights_per_pixel: float = 4.0,
        loss: MatchingLoss | None = None,
        **common: Any,
    ) -> None:
        super().__init__(loss or Cosine(), **common)
        if iterations < 1 or weights_per_pixel <= 0:
            raise BenchmarkError(
                "gion: iterations and weights_per_pixel must be positive, "
                f"not {iterations} and {weights_per_pixel}"
            )
        self.steps = iterations
        self.learning_rate = learning_rate
        self.weights_per_pixel = weights_per_pixel

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("weights", self.steps),)

    def prepare(self) -> None:
        self.width = wide_enough(self.image_size, self.observation.batch_size, self.weights_per_pixel)
        with torch.device("meta"):
            # The architecture alone, in a tuple: no submodule, which would be checkpointed.
            self._network = (OverParameterizedNetwork(self.image_size, self.width),)

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        latents = torch.randn(self.observation.batch_size, LATENT, generator=self.generator)
        self.held = {"latents": latents.to(self.device)}
        seed = int(torch.randint(2**62, (), generator=self.generator))
        network = OverParameterizedNetwork(self.image_size, self.width, seed).to(self.device)
        return as_searched(dict(network.named_parameters()))

    def render(self) -> Tensor:
        (network,) = self._network
        images: Tensor = functional_call(network, as_weights(dict(self.searched)), (self.held["latents"],))
        return images

    def optimizer(self, stage: Stage) -> tuple[Optimizer, None]:
        return Adam(self.searched.values(), lr=self.learning_rate), None

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        for weight in self.searched.values():
            assert weight.grad is not None
            weight.grad.sign_()
