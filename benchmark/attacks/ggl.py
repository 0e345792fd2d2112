"""Generative Gradient Leakage (GGL)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from gifd_bench.benchmark.attacks.generator_options import GGLOptions
from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.attacks.staged import GeneratorSearch
from gifd_bench.benchmark.inversion.evolution import CMAES
from gifd_bench.benchmark.inversion.latent_prior import kl_to_standard_normal
from gifd_bench.priors.base import State

# The one searched tensor of a prior that is not drawn from a standard normal.
EMBEDDING = "embedding"
CENTRE, SPREAD = "centre of the embedding", "spread of the embedding"


class GGL(GeneratorSearch):
    """Generative Gradient Leakage: the latent alone, by CMA-ES, which needs no gradient of the generator.

    Li et al., "Auditing privacy defenses in federated learning via generative gradient leakage", CVPR 2022.
    Settings are those of the authors' release for ImageNet. The defenses that their attacker estimates and
    imitates, every attack here imitates alike. Of their optimizers this has CMA-ES, the release's default;
    at few evaluations Adam, which is `latent`, comes nearer.

    An iteration is one generation: `population` gradient evaluations, each of them a candidate; the curve
    shows the lowest of each generation. The latents of a batch are searched as one vector, by their one
    matching loss. The first generation is centred on zero, so that it is drawn from what the generator was
    trained on (as in the release's CelebA script; its ImageNet script draws the centre from [0, 1)).

    Where the class embedding is searched too, which is ours, its entries are counted in deviations
    over the prior's classes, so that one step size serves both. It is neither bounded nor penalised.
    """

    Options: ClassVar[type[GGLOptions]] = GGLOptions
    options: GGLOptions

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        start = super().begin(stage)
        if EMBEDDING in start:
            every_class = torch.arange(len(self.prior.class_names))
            table = self.prior.initial_state(every_class, self.draw("classes")).tensors[EMBEDDING]
            self.held |= {CENTRE: start[EMBEDDING], SPREAD: table.std(dim=0)}
        return {name: torch.zeros_like(tensor) for name, tensor in start.items()}

    def state(self, stage: int) -> State:
        tensors = {**self.held, **self.latents()}
        if EMBEDDING in self.searched:
            tensors[EMBEDDING] = self.held[CENTRE] + self.held[SPREAD] * self.searched[EMBEDDING]
        return State(0, tensors, tuple(self.searched))

    def latents(self) -> dict[str, Tensor]:
        """What is searched in place of standard normal draws, as the prior sees it."""
        latents = {name: tensor for name, tensor in self.searched.items() if name != EMBEDDING}
        return {n: t.tanh() for n, t in latents.items()} if self.options.bound == "tanh" else latents

    def penalty(self, images: Tensor) -> Tensor | float:
        if self.options.bound == "tanh":
            return 0.0
        entries = torch.cat([tensor.flatten(1) for tensor in self.latents().values()], dim=1)
        return self.options.kl * len(self.client.observed) * kl_to_standard_normal(entries)

    @torch.no_grad()
    def objective(self) -> tuple[Tensor, Tensor]:
        matching, objective = super().objective()
        return torch.fmin(matching, self.curve[self.progress.iteration]), objective

    @torch.no_grad()
    def offer(self) -> Tensor:
        return self.evaluate(self.render(), self.targets())

    def optimizer(self, stage: Stage) -> tuple[Optimizer, None]:
        population, deviation = self.options.population, self.options.deviation
        return CMAES(self.searched.values(), population, deviation, self.draws.seed("evolution")), None

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Nothing: no gradient of the matching loss is used."""
