"""Inverting Gradients (IG)."""

from __future__ import annotations

from typing import ClassVar

from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.attacks.pixel_options import IGOptions
from gifd_bench.benchmark.attacks.pixels import PixelSearch
from gifd_bench.benchmark.inversion.penalties import Penalty, TotalVariation
from gifd_bench.benchmark.inversion.schedules import three_drops


class IG(PixelSearch):
    """Inverting Gradients: searches pixels in a box, with cosine distance, signed Adam and total variation.

    Geiping et al., "Inverting gradients: how easy is it to break privacy in federated learning?", NeurIPS
    2020, equation 4. The defaults are those of the authors' release. The pixels are searched in the
    victim's normalized space. Several later releases leave out the sign of the gradient, on which the
    method depends.
    """

    Options: ClassVar[type[IGOptions]] = IGOptions
    packs: ClassVar[bool] = True
    options: IGOptions

    def penalties(self) -> tuple[Penalty, ...]:
        return (TotalVariation(self.options.total_variation),)

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        adam = Adam(self.parameters_searched(), lr=self.options.learning_rate)
        return adam, three_drops(adam, stage.iterations)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        gradient = self.search.searched["inputs"].grad
        assert gradient is not None
        gradient.sign_()
