"""Gradient Inversion in Alternative Spaces (GIAS)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.base import Stage
from gifd_bench.benchmark.attacks.staged import GeneratorSearch
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.matching import Cosine, MatchingLoss
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

    Args:
        latent_iterations: from each start.
        weight_iterations: of the weights.
        starts: searches of the latent.
        latent_learning_rate: of Adam; divided by ten after 3/8, 5/8 and 7/8 of the iterations.
        weight_learning_rate: likewise (GIFD's comparison takes 1e-5 for BigGAN).
        total_variation: weight of the penalty on normalised images (1e-4 in GIFD's comparison).
        loss: the matching loss; null for `Cosine` (the release can mask it).
        common: see `Attack`.
    """

    def __init__(
        self,
        latent_iterations: int = 500,
        weight_iterations: int = 5000,
        starts: int = 3,
        latent_learning_rate: float = 3e-2,
        weight_learning_rate: float = 1e-3,
        total_variation: float = 1e-6,
        loss: MatchingLoss | None = None,
        **common: Any,
    ) -> None:
        super().__init__(loss or Cosine(), **common)
        if min(latent_iterations, weight_iterations, starts) < 1:
            raise BenchmarkError(
                "gias: latent_iterations, weight_iterations and starts must be at least 1, "
                f"not {latent_iterations}, {weight_iterations} and {starts}"
            )
        self.latent_steps, self.weight_steps = latent_iterations, weight_iterations
        self.starts = starts
        self.latent_rate, self.weight_rate = latent_learning_rate, weight_learning_rate
        self.tv_weight = total_variation

    def stages(self) -> tuple[Stage, ...]:
        return (*self.each_start(self.latent_steps), Stage("weights", self.weight_steps))

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
        return self.tv_weight * total_variation(self.client.normalise(images))

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        latent = self.prior_stage(self.progress.stage) == 0
        adam = Adam(self.searched.values(), lr=self.latent_rate if latent else self.weight_rate)
        return adam, three_drops(adam, stage.iterations)

    def _latent(self) -> State:
        """The latent that was taken, while the weights are searched."""
        return State(0, self.held, ())
