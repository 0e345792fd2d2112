"""Inverting Gradients (IG)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from benchmark.attacks.base import Attack, Stage
from benchmark.inversion.matching import Cosine
from benchmark.inversion.projections import valid_pixels
from benchmark.inversion.regularizers import total_variation
from benchmark.inversion.schedules import three_drops


class IG(Attack):
    """Inverting Gradients: pixels, cosine distance, signed Adam, total variation, a box.

    Geiping et al., "Inverting gradients: how easy is it to break privacy in federated learning?",
    NeurIPS 2020, equation 4. Settings are those of the authors' release; the pixels are searched in
    the victim's normalised space. Several later releases leave out the sign of the gradient, on which
    the method depends.

    Args:
        iterations: of one restart (the paper's experiments use 4,800 to 24,000).
        learning_rate: of Adam, in normalised units; divided by ten after 3/8, 5/8 and 7/8.
        total_variation: weight of the penalty (1e-6 to 1e-1 in the release, by experiment).
        restarts: the release's experiments use 1 to 8.
    """

    def __init__(
        self,
        iterations: int = 4800,
        learning_rate: float = 0.1,
        total_variation: float = 1e-4,
        restarts: int = 1,
    ) -> None:
        super().__init__(Cosine(), restarts)
        self.steps = iterations
        self.learning_rate = learning_rate
        self.tv_weight = total_variation

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("pixels", self.steps),)

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        shape = (self.observation.batch_size, 3, self.image_size, self.image_size)
        return {"inputs": torch.randn(shape, generator=self.generator).to(self.device)}

    def render(self) -> Tensor:
        return valid_pixels(self.client.denormalise(self.searched["inputs"]))

    def penalty(self, images: Tensor) -> Tensor:
        return self.tv_weight * total_variation(self.client.normalise(images))

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        adam = Adam(self.searched.values(), lr=self.learning_rate)
        return adam, three_drops(adam, stage.iterations)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        gradient = self.searched["inputs"].grad
        assert gradient is not None
        gradient.sign_()

    def project(self) -> None:
        low, high = self.client.normalise(torch.zeros(())), self.client.normalise(torch.ones(()))
        inputs = self.searched["inputs"].data
        torch.clamp(inputs, low, high, out=inputs)
