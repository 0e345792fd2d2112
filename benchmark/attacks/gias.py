"""Gradient Inversion in Alternative Spaces (GIAS)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.generator_options import GIASOptions
from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.attacks.staged import GeneratorSearch
from gifd_bench.benchmark.inversion.penalties import Penalty, TotalVariation
from gifd_bench.benchmark.inversion.schedules import three_drops
from gifd_bench.benchmark.inversion.search import Lane, Search
from gifd_bench.benchmark.inversion.weights import Renderer, render_weights, search_weights


class GIAS(GeneratorSearch):
    """Gradient Inversion in Alternative Spaces: the latent, then the weights of a generator for each image.

    Jeon et al., "Gradient inversion with generative image prior", NeurIPS 2021. The defaults are those of
    the authors' release for 32x32. Of several searches of the latent, the one with the lowest matching loss
    is taken, and its latent stays as it is while the weights are searched. All weights on which the images
    depend are searched, in a copy for each image.
    """

    Options: ClassVar[type[GIASOptions]] = GIASOptions
    packs: ClassVar[bool] = True
    options: GIASOptions

    def begin(self, stage: int, lane: Lane, ended: Search | None) -> Search:
        if ended is None:
            return super().begin(stage, lane, ended)
        latent = {**ended.held, **ended.searched}
        return search_weights(Renderer(self.prior, self.image_size), latent, self.observation.batch_size)

    def render(self, search: Search) -> Tensor:
        if self.progress.stage == 0:
            return super().render(search)
        return render_weights(Renderer(self.prior, self.image_size), search)

    def penalties(self) -> tuple[Penalty, ...]:
        return (TotalVariation(self.options.total_variation),)

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        latent = self.progress.stage == 0
        rate = self.options.latent_learning_rate if latent else self.options.weight_learning_rate
        # Millions of weights for each image: in one pass over them, as against a dozen.
        adam = Adam(self.parameters_searched(), lr=rate, fused=True)
        return adam, three_drops(adam, stage.iterations)
