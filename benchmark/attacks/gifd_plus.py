"""GIFD on clean updates; on noisy ones, the weights of the generator and the mean of several restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.generator_options import GIFDPlusOptions
from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.inversion.assignment import assign
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.inversion.schedules import three_drops
from gifd_bench.benchmark.inversion.search import Lane, Search
from gifd_bench.benchmark.inversion.weights import Renderer, render_weights, search_weights
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.defenses.knowledge import imitate
from gifd_bench.tasks.observation import Observation


class GIFDPlus(GIFD):
    """GIFD, and where the update is known to be noisy, what does better there. It is ours, not the paper's.

    Without noise this is `gifd`. With noise, two things change, and the number of gradient evaluations does
    not.

    - After the latent, the weights of the generator are searched, as in GIAS (Jeon et al., NeurIPS 2021),
      and not its features: features that are free to fit an update also fit the noise on it.
    - The iterations are divided over several restarts, and the answer is the mean of what they found. The
      matching loss cannot say which of them is best, because it falls when noise is fitted. Where they
      differ, the update does not decide, and the mean has the smallest expected squared error, as the mean
      of the posterior has.

    The update is taken for a noisy one if the attacker knows of a defense that adds noise, and the estimate
    of its strength is above zero. The option `noisy` can say it instead.
    """

    Options: ClassVar[type[GIFDPlusOptions]] = GIFDPlusOptions
    packs: ClassVar[bool] = True
    options: GIFDPlusOptions

    def observe_all(
        self, observations: Sequence[Observation], prior: Prior | None, seeds: Sequence[int]
    ) -> None:
        noisy = self.options.noisy
        if noisy is None:
            noisy = any(_is_noisy(observation) for observation in observations)
        restarts = self.options.restarts
        if noisy and prior is not None:
            self.options = self.options.divided(prior.stages)
        self._averages = self.options.restarts > restarts
        self._mean: tuple[Tensor, Tensor] | None = None
        super().observe_all(observations, prior, seeds)

    def begin(self, stage: int, lane: Lane, ended: Search | None) -> Search:
        if not self.options.noisy or ended is None:
            return super().begin(stage, lane, ended)
        latent = {**ended.held, **ended.searched}
        return search_weights(Renderer(self.prior, self.image_size), latent, self.observation.batch_size)

    def render(self, search: Search) -> Tensor:
        if not self._searches_weights:
            return super().render(search)
        return render_weights(Renderer(self.prior, self.image_size), search)

    def project(self, search: Search) -> None:
        if not self._searches_weights:
            super().project(search)

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        if not self._searches_weights:
            return super().optimizer(stage)
        adam = Adam(self.parameters_searched(), lr=self.options.weight_learning_rate, fused=True)
        return adam, three_drops(adam, stage.iterations)

    @property
    def _searches_weights(self) -> bool:
        return bool(self.options.noisy) and self.progress.stage > 0

    def reconstruction(self, target: int = 0) -> Reconstruction:
        best = super().reconstruction(target)
        if not self._averages:
            return best
        if self._mean is None:
            means = torch.stack([self._mean_of_restarts(each) for each in range(len(self.labels))])
            with torch.no_grad():
                self._mean = means, self.match(means.to(self.device), self.labels).matching_loss
        images, losses = self._mean
        return replace(
            best,
            images=images[target],
            matching_loss=float(losses[target]),
            gradient_evaluations=self.progress.gradient_evaluations,
            # Earlier answers would have been those of one restart.
            anytime=(),
        )

    def _mean_of_restarts(self, target: int) -> Tensor:
        """The mean of the best that each restart of a target found: (B, 3, H, W) in [0, 1], on the CPU."""
        found = [self.course.stages_of(target, restart) for restart in range(self.options.restarts)]
        bests = [min(stages, key=lambda stage: stage.matching_loss).images for stages in found if stages]
        labels = self.labels[target].cpu()
        return torch.stack([bests[0], *(_in_order_of(bests[0], each, labels) for each in bests[1:])]).mean(
            0
        )


def _is_noisy(observation: Observation) -> bool:
    """Whether a defense of which the attacker knows has left noise on the update."""
    known = [(defense.name, defense.parameters) for defense in observation.defenses or ()]
    return bool(known) and float(imitate(observation.update, known).noise_std) > 0


def _in_order_of(one: Tensor, other: Tensor, labels: Tensor) -> Tensor:
    """The images (B, 3, H, W) of another restart in the order in which they are most like those of one.

    Only images of the same label, (B,), change their places.
    """
    ordered = other.clone()
    for label in set(labels.tolist()):
        places = (labels == label).nonzero().flatten()
        ordered[places] = other[places][assign(other[places], one[places])]
    return ordered
