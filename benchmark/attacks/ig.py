"""Inverting Gradients (IG)."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.base import Stage, at_least_one
from gifd_bench.benchmark.attacks.pixels import PixelSearch
from gifd_bench.benchmark.inversion.matching import Cosine, MatchingLoss
from gifd_bench.benchmark.inversion.regularizers import total_variation
from gifd_bench.benchmark.inversion.schedules import three_drops


class IG(PixelSearch):
    """Inverting Gradients: pixels, cosine distance, signed Adam, total variation, a box.

    Geiping et al., "Inverting gradients: how easy is it to break privacy in federated learning?",
    NeurIPS 2020, equation 4. Settings are those of the authors' release; the pixels are searched in
    the victim's normalised space. Several later releases leave out the sign of the gradient, on which
    the method depends.

    Args:
        iterations: of one restart (the paper's experiments use 4,800 to 24,000).
        learning_rate: of Adam, in normalised units; divided by ten after 3/8, 5/8 and 7/8.
        total_variation: weight of the penalty (1e-6 to 1e-1 in the release, by experiment).
        loss: the matching loss; null for the paper's `Cosine`.
        common: see `Attack`; the release's experiments use 1 to 8 restarts.
    """

    def __init__(
        self,
        iterations: int = 4800,
        learning_rate: float = 0.1,
        total_variation: float = 1e-4,
        loss: MatchingLoss | None = None,
        **common: Any,
    ) -> None:
        super().__init__(loss or Cosine(), **common)
        at_least_one(iterations=iterations)
        self.steps = iterations
        self.learning_rate = learning_rate
        self.tv_weight = total_variation

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("pixels", self.steps),)

    def penalty(self, images: Tensor) -> Tensor:
        return self.tv_weight * total_variation(self.client.normalise(images))

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        adam = Adam(self.searched.values(), lr=self.learning_rate)
        return adam, three_drops(adam, stage.iterations)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        gradient = self.searched["inputs"].grad
        assert gradient is not None
        gradient.sign_()
