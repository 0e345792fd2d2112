"""Search inside a generator, stage by stage: the common part of the attacks that do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.generator_options import GeneratorOptions, StagedOptions
from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.inversion.candidates import is_better
from gifd_bench.benchmark.inversion.regularizers import image_norm, total_variation
from gifd_bench.benchmark.inversion.schedules import warm_up_and_cosine
from gifd_bench.priors.base import UNKNOWN_CLASS, State

# What is held of the best start: its tensors, with this prefix, and its criterion.
BEST = "best "
BEST_CRITERION = "best criterion"


class GeneratorSearch(Attack):
    """Searches what the prior says is searched at each stage; a stage starts where the last ended.

    Where a class of the observation is one that the prior was trained on (they are compared by name),
    the prior is conditioned on it; where it is not, the class embedding is searched with the latent.

    The latent may be searched from several starts: the first stages of the attack are then all stage 0 of
    the prior, each from a draw of its own, and what follows goes on from the iterate of them all that
    `stop` chooses.
    """

    Options: ClassVar[type[GeneratorOptions]]
    options: GeneratorOptions

    @property
    def starts(self) -> int:
        """How many latents are searched before the best goes on."""
        return self.options.latent_starts

    def prior_stage(self, stage: int) -> int:
        """The prior's stage that a stage of the attack searches."""
        return max(0, stage - self.starts + 1)

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        kept = {}
        if self.prior_stage(stage) > 0:
            state = self.prior.advance(self.ended(stage - 1))
        else:
            state = self.prior.initial_state(self._classes(), self.draw("start", stage))
            if stage > 0:
                kept = {name: t for name, t in self.held.items() if name.startswith(BEST)}
        self.held = {n: t for n, t in state.tensors.items() if n not in state.searched} | kept
        return {name: state.tensors[name] for name in state.searched}

    def ended(self, stage: int) -> State:
        """What a stage that has just ended left to the next; of several starts, the best."""
        if self.starts == 1 or self.prior_stage(stage) > 0:
            return self.state(stage)
        kept = {n.removeprefix(BEST): t for n, t in self.held.items() if n.startswith(BEST)}
        del kept[BEST_CRITERION.removeprefix(BEST)]
        return State(0, kept, tuple(self.searched))

    def render(self) -> Tensor:
        return self.prior.render(self.state(self.progress.stage), self.image_size)

    def state(self, stage: int) -> State:
        """Where the search of a stage stands."""
        fixed = {name: t for name, t in self.held.items() if not name.startswith(BEST)}
        return State(self.prior_stage(stage), {**fixed, **self.searched}, tuple(self.searched))

    def objective(self) -> tuple[Tensor, Tensor]:
        matching, objective = super().objective()
        if self.starts > 1 and self.progress.stage < self.starts:
            self._keep_if_best(self.criterion)
        return matching, objective

    def _keep_if_best(self, criterion: Tensor) -> None:
        offered = {BEST + name: t.detach() for name, t in self.state(self.progress.stage).tensors.items()}
        offered[BEST_CRITERION] = criterion
        if BEST_CRITERION not in self.held:
            self.held |= {name: tensor.clone() for name, tensor in offered.items()}
            return
        better = is_better(criterion, self.held[BEST_CRITERION], self.best.floor)
        self.held |= {name: torch.where(better, t, self.held[name]) for name, t in offered.items()}

    def _classes(self) -> Tensor:
        """The prior's class of each label, by name."""
        known = {name: index for index, name in enumerate(self.prior.class_names)}
        names = [self.observation.class_names[label] for label in self.labels.tolist()]
        return torch.tensor([known.get(name, UNKNOWN_CLASS) for name in names], device=self.device)


class StagedSearch(GeneratorSearch):
    """A search by Adam with total variation and image norm, as in the release of GIFD."""

    Options: ClassVar[type[StagedOptions]]
    options: StagedOptions

    def penalty(self, images: Tensor) -> Tensor:
        inputs = self.client.normalise(images)
        variation = self.options.total_variation * total_variation(inputs)
        return variation + self.options.image_norm * image_norm(inputs)

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        adam = Adam(self.searched.values(), lr=self.options.learning_rate)
        return adam, warm_up_and_cosine(adam, stage.iterations)
