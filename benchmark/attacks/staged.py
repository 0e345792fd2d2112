"""Search inside a generator, stage by stage: the common part of the attacks that do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from benchmark.attacks.base import Attack, Stage
from benchmark.inversion.matching import Cosine
from benchmark.inversion.regularizers import image_norm, total_variation
from benchmark.inversion.schedules import warm_up_and_cosine
from priors.base import UNKNOWN_CLASS, State


class StagedSearch(Attack):
    """Searches what the prior says is searched at each stage; a stage starts where the last ended.

    Where a class of the observation is one that the prior was trained on (they are compared by name),
    the prior is conditioned on it; where it is not, the class embedding is searched with the latent.

    Args:
        learning_rate: of Adam, new at every stage; warm-up over 5 %, cosine ramp-down over 75 %.
        total_variation: weight of the penalty.
        image_norm: weight of the penalty.
        restarts: see `Attack`.
    """

    needs_prior: ClassVar[bool] = True

    def __init__(
        self,
        learning_rate: float,
        total_variation: float,
        image_norm: float,
        restarts: int,
    ) -> None:
        super().__init__(Cosine(), restarts)
        self.learning_rate = learning_rate
        self.tv_weight = total_variation
        self.norm_weight = image_norm

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        if stage == 0:
            state = self.prior.initial_state(self._classes(), self.generator)
        else:
            state = self.prior.advance(self._state(stage - 1))
        self.held = {n: t for n, t in state.tensors.items() if n not in state.searched}
        return {name: state.tensors[name] for name in state.searched}

    def render(self) -> Tensor:
        return self.prior.render(self._state(self.progress.stage), self.image_size)

    def penalty(self, images: Tensor) -> Tensor:
        inputs = self.client.normalise(images)
        return self.tv_weight * total_variation(inputs) + self.norm_weight * image_norm(inputs)

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        adam = Adam(self.searched.values(), lr=self.learning_rate)
        return adam, warm_up_and_cosine(adam, stage.iterations)

    def _state(self, stage: int) -> State:
        return State(stage, {**self.held, **self.searched}, tuple(self.searched))

    def _classes(self) -> Tensor:
        """The prior's class of each label, by name."""
        known = {name: index for index, name in enumerate(self.prior.class_names)}
        names = [self.observation.class_names[label] for label in self.labels.tolist()]
        return torch.tensor([known.get(name, UNKNOWN_CLASS) for name in names], device=self.device)
