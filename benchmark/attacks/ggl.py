"""Generative Gradient Leakage (GGL)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from gifd_bench.benchmark.attacks.generator_options import GGLOptions
from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.attacks.staged import GeneratorSearch
from gifd_bench.benchmark.inversion.evolution import CMAES
from gifd_bench.benchmark.inversion.penalties import LatentDivergence, Penalty
from gifd_bench.benchmark.inversion.search import Lane, Search
from gifd_bench.priors.base import State

# The one searched tensor of a prior that is not drawn from a standard normal.
EMBEDDING = "embedding"


class GGL(GeneratorSearch):
    """Generative Gradient Leakage: the latent alone, by CMA-ES, which needs no gradient of the generator.

    Li et al., "Auditing privacy defenses in federated learning via generative gradient leakage", CVPR 2022.
    The defaults are those of the authors' release for ImageNet. Their attacker estimates and imitates
    defenses; here, every attack does so. Of their optimizers, this is CMA-ES, the release's default. With
    few evaluations, Adam does better, which is the attack `latent`.

    An iteration is one generation: `population` gradient evaluations, each of which is a candidate. The
    curve shows the lowest loss of each generation. The latents of a batch are searched as one vector, by
    their one matching loss. The first generation is centered on zero, so it is drawn from the distribution
    on which the generator was trained (as in the release's CelebA script; its ImageNet script draws the
    center from [0, 1)).

    If the class embedding is searched too, which is our addition, its entries are measured in standard
    deviations over the prior's classes, so one step size serves both. The embedding is neither bounded nor
    penalized.
    """

    Options: ClassVar[type[GGLOptions]] = GGLOptions
    packs: ClassVar[bool] = True
    options: GGLOptions

    def prepare(self) -> None:
        self.spread = torch.ones((), device=self.device)
        if self.prior.class_names:
            every_class = torch.arange(len(self.prior.class_names), device=self.device)
            known = self.prior.initial_state(every_class, torch.Generator()).tensors
            self.spread = known[EMBEDDING].std(dim=0) if EMBEDDING in known else self.spread

    def begin(self, stage: int, lane: Lane, ended: Search | None) -> Search:
        # The members of a population share what is not searched, and their mean.
        alike = replace(lane, member=0, draws=lane.draws.afresh())
        start = super().begin(stage, alike, ended)
        zeros = {name: torch.zeros_like(tensor) for name, tensor in start.searched.items()}
        return Search(zeros, start.held, start.searched)

    def state(self, search: Search) -> State:
        seen = self.latents(search)
        if EMBEDDING in search.searched:
            deviations = self.spread * search.searched[EMBEDDING]
            seen[EMBEDDING] = search.began[EMBEDDING] + deviations
        return super().state(Search(seen, search.held))

    def latents(self, search: Search) -> dict[str, Tensor]:
        """The searched tensors that stand for standard normal draws, as the prior sees them."""
        latents = {name: tensor for name, tensor in search.searched.items() if name != EMBEDDING}
        return {n: t.tanh() for n, t in latents.items()} if self.options.bound == "tanh" else latents

    def penalties(self) -> tuple[Penalty, ...]:
        if self.options.bound == "tanh":
            return ()
        return (LatentDivergence(self.options.kl * len(self.client.observed), self.latents),)

    @torch.no_grad()
    def objective(self) -> tuple[Tensor, Tensor]:
        return super().objective()

    @torch.no_grad()
    def offer(self) -> Tensor:
        # After a generation all members stand at the mean of the next: one of them will do.
        first = slice(None, None, self.options.population)
        images, targets = self.render(self.search)[first], self.targets(self.search)[first]
        return self.evaluate(images, targets)

    def optimizer(self, stage: Stage) -> tuple[Optimizer, None]:
        population, deviation = self.options.population, self.options.deviation
        seeds = [lane.draws.seed("evolution") for lane in self.course.lanes()[::population]]
        return CMAES(self.parameters_searched(), population, deviation, seeds), None

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Do nothing: no gradient of the matching loss is used."""
