"""Gradient Inversion in Alternative Spaces (GIAS)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.generator_options import GIASOptions
from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.attacks.staged import GeneratorSearch
from gifd_bench.benchmark.inversion.regularizers import total_variation
from gifd_bench.benchmark.inversion.schedules import three_drops
from gifd_bench.benchmark.inversion.weights import Renderer, as_searched, as_weights
from gifd_bench.priors.base import State


class GIAS(GeneratorSearch):
    """Gradient Inversion in Alternative Spaces: the latent, then the weights of the generator, a copy of
    them for each image.

    Jeon et al., "Gradient inversion with generative image prior", NeurIPS 2021. Settings are those of the
    authors' release for 32x32: of several searches of the latent the one with the lowest matching loss is
    taken, and stays as it is while the weights are searched. All weights are, that the images depend on.
    """

    Options: ClassVar[type[GIASOptions]] = GIASOptions
    options: GIASOptions

    def prepare(self) -> None:
        # In a tuple, as the prior is: no submodule, which would be checkpointed.
        self._renderer = (Renderer(self.prior, self.image_size),)

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        if self.prior_stage(stage) == 0:
            return super().begin(stage)
        state = self.ended(stage - 1)
        self.held = {name: tensor.detach().clone() for name, tensor in state.tensors.items()}
        batch = self.observation.batch_size
        (renderer,) = self._renderer
        shared = renderer.used_weights(self._latent())
        return as_searched({n: w.expand(batch, *w.shape) for n, w in shared.items()})

    def render(self) -> Tensor:
        if self.prior_stage(self.progress.stage) == 0:
            return super().render()
        (renderer,) = self._renderer
        return renderer.render_each(self._latent(), as_weights(dict(self.searched)))

    def penalty(self, images: Tensor) -> Tensor:
        return self.options.total_variation * total_variation(self.client.normalise(images))

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        latent = self.prior_stage(self.progress.stage) == 0
        rate = self.options.latent_learning_rate if latent else self.options.weight_learning_rate
        adam = Adam(self.searched.values(), lr=rate)
        return adam, three_drops(adam, stage.iterations)

    def _latent(self) -> State:
        """The latent that was taken, while the weights are searched."""
        return State(0, self.held, ())
