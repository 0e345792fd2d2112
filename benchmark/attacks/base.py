"""The attack as a LightningModule: one optimizer step is one inversion iteration."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from gifd_bench.benchmark.attacks.loop import InversionLoop
from gifd_bench.benchmark.attacks.options import AttackOptions
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.candidates import Offer
from gifd_bench.benchmark.inversion.course import Course
from gifd_bench.benchmark.inversion.judging import Judge
from gifd_bench.benchmark.inversion.labels.rules import infer_labels
from gifd_bench.benchmark.inversion.matching import MatchingLoss, matching_loss
from gifd_bench.benchmark.inversion.penalties import Iterate, Penalty
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.inversion.search import Search
from gifd_bench.benchmark.inversion.stopping import Judgment
from gifd_bench.benchmark.inversion.targets import Given
from gifd_bench.common.registry import unknown
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.batch_norm import Moments
from gifd_bench.tasks.observation import Observation


class Attack(InversionLoop):
    """Base of all attacks. A subclass says where a stage starts, how to render and how to step; this
    class matches updates, runs stages and restarts, and keeps the best iterates.

    An attack is built from its options alone. `observe` then gives it an Observation and perhaps a
    Prior, a Trainer runs it, and `reconstruction` has the answer. A restart is its stages in turn; all of
    its iterates are candidates, and the one with the lowest matching loss over all restarts is returned.

    Searches that have nothing to do with each other, as restarts, take their steps together: they are
    lanes, the first dimension of every tensor. A loss is one a lane, (L,), and what is minimized is their
    sum. Several targets may be attacked at once, as more lanes, those of one target after the other's.

    Attributes:
        Options: the class of the options.
        packs: whether its lanes may have different targets. It is not inherited: a subclass says so itself.
        options: what it is set to.
        labels: that the whole search goes by, (targets, B), granted or inferred.

    Args:
        options: of its class `Options`; None to have them made from keywords.
        changes: options that differ from their defaults, by name.

    Raises:
        BenchmarkError: there is no such option, or a value is out of its range.
    """

    Options: ClassVar[type[AttackOptions]]
    packs: ClassVar[bool] = False
    # Whether the search goes on where a squared distance is below the rounding of the squared norms.
    to_the_last_digit: ClassVar[bool] = False
    options: AttackOptions

    def __init__(self, options: AttackOptions | None = None, **changes: Any) -> None:
        super().__init__()
        self.options = self._made_from(changes) if options is None else options
        if not isinstance(self.options, self.Options) or (options is not None and changes):
            raise BenchmarkError(
                f"{type(self).__name__} is built from {self.Options.__name__} alone, or from keywords alone"
            )
        self.loss = self.make_loss()

    @classmethod
    def _made_from(cls, changes: Mapping[str, Any]) -> AttackOptions:
        known = sorted(field.name for field in fields(cls.Options))
        for name in changes:
            if name not in known:
                raise BenchmarkError(f"{cls.__name__}: {unknown('option', name, known)}")
        return cls.Options(**changes)

    @classmethod
    def may_pack(cls) -> bool:
        """Whether this very class says that it `packs`: what a subclass adds may not bear it."""
        return bool(vars(cls).get("packs", False))

    # What a subclass says.

    @abstractmethod
    def render(self, search: Search) -> Tensor:
        """The images: (L, B, 3, H, W) in [0, 1], differentiable."""

    def make_loss(self) -> MatchingLoss:
        """The matching loss, which no other attack shares."""
        return matching_loss(self.options.loss_in_full)

    def fixed_labels(self, observation: Observation) -> Tensor:
        """The labels of a target that the whole search goes by: (B,) int64, granted or else inferred."""
        return infer_labels(observation, self.options.label_rule_for(observation.batch_size))

    def kind_of(self, observation: Observation, prior: Prior | None) -> str:
        """What targets that are attacked at once have in common, in a few words, besides their victim."""
        return "one kind"

    def targets(self, search: Search) -> Tensor:
        """The labels that go with the rendered images: (L, B) int64, or (L, B, classes) probabilities where
        they are searched too."""
        lanes = len(next(iter(search.searched.values())))
        return self.labels.repeat_interleave(lanes // len(self.labels), dim=0)

    def objective(self) -> tuple[Tensor, Tensor]:
        """The matching losses of the current iterates, and what is minimized: (L,) each."""
        images = self.render(self.search)
        matching = self.evaluate(images, self.targets(self.search))
        return matching, matching + self.penalty(images)

    def penalty(self, images: Tensor) -> Tensor | float:
        """What is added to the matching losses of (L, B, 3, H, W) images in [0, 1]: (L,), the weighted sum
        of the penalties."""
        iterate = Iterate(images, self.client.normalize(images), self.search, self.progress.step)
        total: Tensor | float = 0.0
        for each in self._penalties:
            total = total + each.weight * each(iterate)
        return total

    def penalties(self) -> Sequence[Penalty]:
        """The terms of `penalty`, made once, after `prepare`."""
        return ()

    def prepare(self) -> None:
        """Compute what a search needs once: `self.client` has just been made, on its device."""

    # What a subclass calls.

    def match(self, images: Tensor, targets: Tensor) -> Judgment:
        """How well (L, B, 3, H, W) images with their targets match: one gradient evaluation a lane."""
        # What is counted is each target's own.
        self.progress.gradient_evaluations += len(images) // len(self.labels)
        return self.judge(images, targets)

    def evaluate(self, images: Tensor, targets: Tensor) -> Tensor:
        """The matching losses of images in [0, 1], as the search sees them; they become candidates for the
        answer."""
        judged = self.match(images, targets)
        # Of one member the last iterate goes on to the next stage, of several the best.
        several = self.course.stage.members > 1 and not self.course.is_last_stage
        kept = {**self.search.held, **self.search.searched} if several else {}
        self.course.offer(Offer(judged.criterion, judged.matching_loss, images, targets, kept))
        return judged.objective

    # What it is given.

    def observe(self, observation: Observation, prior: Prior | None, seed: int) -> None:
        """Hand over the observation; nothing else reaches an attack.

        Args:
            observation: all that the attacker sees.
            prior: for attacks whose options say `needs_prior`.
            seed: of all randomness.

        Raises:
            BenchmarkError: a prior is needed and there is none, or the options do not fit it.
        """
        self.observe_all([observation], prior, [seed])

    def observe_all(
        self, observations: Sequence[Observation], prior: Prior | None, seeds: Sequence[int]
    ) -> None:
        """Hand over several targets, to be attacked at once; see `observe`.

        Args:
            observations: of one victim, and alike in all but what was observed; see `targets`.
            prior: for attacks whose options say `needs_prior`.
            seeds: of all randomness, one a target.
        """
        if len(observations) > 1 and not self.may_pack():
            raise BenchmarkError(f"{type(self).__name__} takes one target at a time")
        if self.options.needs_prior and prior is None:
            raise BenchmarkError(f"attack {type(self).__name__} needs a prior")
        self._given = Given(observations, prior)
        stages = self.options.stages(() if prior is None else prior.stages)
        options = self.options
        self.course = Course(stages, options.restarts, options.at_once, seeds, options.halvings)
        self.labels = torch.stack([self.fixed_labels(observation) for observation in observations])
        self.search = Search({})

    @property
    def observation(self) -> Observation:
        """All that the attacker sees; of several targets the first one's, whose victim they share."""
        return self._given.observations[0]

    @property
    def batch_norm_moments(self) -> Mapping[str, Moments] | None:
        """BatchNorm statistics to match, by layer, (C,), or (targets, C) where each has its own."""
        return self._given.moments()

    @property
    def prior(self) -> Prior:
        """The prior, for attacks that need one."""
        assert self._given.prior is not None
        return self._given.prior

    @property
    def image_size(self) -> int:
        """Side of the images under attack, in pixels.

        Raises:
            BenchmarkError: they are not square.
        """
        size = self.observation.model.image_size
        if not isinstance(size, int):
            raise BenchmarkError(f"{type(self).__name__} is for square images, not for {size[0]}x{size[1]}")
        return size

    def reconstruction(self, target: int = 0) -> Reconstruction:
        """The answer for a target, once the Trainer is done.

        Raises:
            BenchmarkError: no iterate had a finite matching loss.
        """
        self.finish()
        answer, stages = self.course.chosen(target)
        return Reconstruction(
            images=answer.images,
            labels=answer.labels,
            matching_loss=answer.matching_loss,
            gradient_evaluations=self.progress.gradient_evaluations,
            stages=stages,
            curve=self.course.curve(target),
            label_probabilities=answer.label_probabilities,
            path=self.judge.path,
            anytime=self.course.snapshots(target),
        )

    def set_up(self) -> None:
        """Move what the attack was given to its device."""
        clients = self._given.clients(self.device)
        self.client = clients[0]
        lanes = self.course.most_lanes
        self.judge = Judge(clients, self.loss, self.options.stop, lanes, self.to_the_last_digit)
        self.course.best.floor = self.judge.floor
        self.course.to(self.device)
        self.labels = self.labels.to(self.device)
        if self._given.prior is not None:
            self._given.prior.to(self.device)
        self.prepare()
        self._penalties = [each for each in self.penalties() if each.weight]
