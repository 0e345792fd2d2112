"""Search inside a generator, stage by stage: the common part of the attacks that do this."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.generator_options import GeneratorOptions, StagedOptions
from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.inversion.penalties import ImageNorm, Penalty, TotalVariation
from gifd_bench.benchmark.inversion.schedules import warm_up_and_cosine
from gifd_bench.benchmark.inversion.search import Lane, Search, as_batch, as_lanes
from gifd_bench.priors.base import UNKNOWN_CLASS, Prior, State
from gifd_bench.tasks.observation import Observation


class GeneratorSearch(Attack):
    """Searches, at each stage, what the prior names; a stage starts where the one before ended.

    Classes are compared by name. If the prior was trained on a class of the observation, it is conditioned
    on that class; if not, the class embedding is searched together with the latent.
    """

    Options: ClassVar[type[GeneratorOptions]]
    options: GeneratorOptions

    def begin(self, stage: int, lane: Lane, ended: Search | None) -> Search:
        if ended is None:
            state = self.prior.initial_state(self._classes(lane), lane.draw("start"))
        else:
            tensors = {**ended.held, **ended.searched}
            state = self.prior.advance(State(stage - 1, tensors, tuple(ended.searched)))
        searched = {name: state.tensors[name] for name in state.searched}
        held = {name: tensor for name, tensor in state.tensors.items() if name not in searched}
        return Search(searched, held)

    def kind_of(self, observation: Observation, prior: Prior | None) -> str:
        names = {observation.class_names[label] for label in self.fixed_labels(observation).tolist()}
        # An embedding is searched where a class is unknown, and held where all are known.
        known = prior is not None and names <= set(prior.class_names)
        return "classes that the prior knows" if known else "a class that the prior does not know"

    def render(self, search: Search) -> Tensor:
        images = self.prior.render(self.state(search), self.image_size)
        return as_lanes(images, len(images) // self.observation.batch_size)

    def state(self, search: Search) -> State:
        """The state of the prior that belongs to a search, with all lanes as one batch."""
        tensors = {n: as_batch(tensor) for n, tensor in {**search.held, **search.searched}.items()}
        return State(self.progress.stage, tensors, tuple(search.searched))

    def _classes(self, lane: Lane) -> Tensor:
        """The number of the prior's class for each label of a lane, compared by name."""
        labels = self.labels[lane.target]
        if labels.ndim == 2:
            # An image of several labels is of no one class.
            return torch.full((len(labels),), UNKNOWN_CLASS, device=self.device)
        known = {name: index for index, name in enumerate(self.prior.class_names)}
        names = [self.observation.class_names[label] for label in labels.tolist()]
        return torch.tensor([known.get(name, UNKNOWN_CLASS) for name in names], device=self.device)


class StagedSearch(GeneratorSearch):
    """A search by Adam with total variation and image norm, as in the release of GIFD."""

    Options: ClassVar[type[StagedOptions]]
    options: StagedOptions

    def penalties(self) -> tuple[Penalty, ...]:
        return TotalVariation(self.options.total_variation), ImageNorm(self.options.image_norm)

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        adam = Adam(self.parameters_searched(), lr=self.options.learning_rate)
        return adam, warm_up_and_cosine(adam, stage.iterations)
