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
from gifd_bench.benchmark.oracle.asking import RemoteJudge, WithheldObservation
from gifd_bench.common.registry import unknown
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.batch_norm import Moments
from gifd_bench.tasks.observation import Observation


class Attack(InversionLoop):
    """The base of all attacks. It matches updates, runs stages and restarts, and keeps the best iterates.

    A subclass says where a stage starts, how images are rendered and how a step is taken.

    An attack is made from its options alone. `observe` then gives it an observation and perhaps a prior, a
    Trainer runs it, and `reconstruction` returns the answer. A restart runs its stages one after another.
    All of its iterates are candidates, and the one with the lowest matching loss over all restarts is
    returned.

    Searches that do not depend on each other, such as restarts, take their steps together. They are lanes,
    the first dimension of every tensor. There is one loss for each lane, (L,), and their sum is minimized.
    Several targets may be attacked at once, as more lanes; the lanes of one target follow those of another.

    Attributes:
        Options: the class of the options.
        packs: whether the lanes may have different targets. A subclass does not inherit this; it says so
            itself.
        options: the options of this attack.
        labels: the labels that the whole search uses, (targets, B), granted or inferred.

    Args:
        options: the options, of the class `Options`; `None` makes them from the keywords.
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
        """Whether this very class says that it `packs`; what a subclass adds may not allow packs."""
        return bool(vars(cls).get("packs", False))

    # What a subclass says.

    @abstractmethod
    def render(self, search: Search) -> Tensor:
        """The images of a search.

        Args:
            search: the state of L lanes.

        Returns:
            (L, B, 3, H, W) in [0, 1], differentiable in the searched tensors.
        """

    def make_loss(self) -> MatchingLoss:
        """The matching loss; each attack gets one of its own."""
        return matching_loss(self.options.loss_in_full)

    def fixed_labels(self, observation: Observation) -> Tensor:
        """The labels of a target that the whole search uses: (B,) int64, granted or else inferred."""
        return infer_labels(observation, self.options.label_rule_for(observation.batch_size))

    def kind_of(self, observation: Observation, prior: Prior | None) -> str:
        """What targets must have in common, besides their victim, to be attacked at once; a few words."""
        return "one kind"

    def targets(self, search: Search) -> Tensor:
        """The labels that belong to the rendered images.

        Returns:
            (L, B) int64, or (L, B, classes) probabilities if labels are searched too.
        """
        lanes = len(next(iter(search.searched.values())))
        return self.labels.repeat_interleave(lanes // len(self.labels), dim=0)

    def objective(self) -> tuple[Tensor, Tensor]:
        """The matching losses of the current iterates, and what is minimized: (L,) each."""
        images = self.render(self.search)
        matching = self.evaluate(images, self.targets(self.search))
        return matching, matching + self.penalty(images)

    def penalty(self, images: Tensor) -> Tensor | float:
        """What is added to the matching losses: the weighted sum of the penalties.

        Args:
            images: (L, B, 3, H, W) in [0, 1].

        Returns:
            (L,), or 0 if there are no penalties.
        """
        iterate = Iterate(images, self.client.normalize(images), self.search, self.progress.step)
        total: Tensor | float = 0.0
        for each in self._penalties:
            total = total + each.weight * each(iterate)
        return total

    def penalties(self) -> Sequence[Penalty]:
        """The terms of `penalty`; they are made once, after `prepare`."""
        return ()

    def prepare(self) -> None:
        """Compute what a search needs only once; `self.client` has just been made, on its device."""

    # What a subclass calls.

    def match(self, images: Tensor, targets: Tensor) -> Judgment:
        """Compare the updates of candidates with the observed one: one gradient evaluation for each lane.

        Args:
            images: (L, B, 3, H, W) in [0, 1].
            targets: (L, B) int64, or (L, B, classes) probabilities.
        """
        # What is counted is each target's own.
        self.progress.gradient_evaluations += len(images) // len(self.labels)
        return self.judge(images, targets)

    def evaluate(self, images: Tensor, targets: Tensor) -> Tensor:
        """The matching losses of images, which become candidates for the answer.

        Args:
            images: (L, B, 3, H, W) in [0, 1].
            targets: (L, B) int64, or (L, B, classes) probabilities.

        Returns:
            (L,), as the search sees them.
        """
        judged = self.match(images, targets)
        # Of one member the last iterate goes on to the next stage, of several the best.
        several = self.course.stage.members > 1 and not self.course.is_last_stage
        kept = {**self.search.held, **self.search.searched} if several else {}
        self.course.offer(Offer(judged.criterion, judged.matching_loss, images, targets, kept))
        return judged.objective

    # What it is given.

    def observe(self, observation: Observation, prior: Prior | None, seed: int) -> None:
        """Give the attack its observation; it receives nothing else about the client.

        Args:
            observation: everything that the attacker sees.
            prior: the prior, for attacks whose options say `needs_prior`.
            seed: the seed of all randomness.

        Raises:
            BenchmarkError: a prior is needed and there is none, or the options do not fit it.
        """
        self.observe_all([observation], prior, [seed])

    def observe_all(
        self,
        observations: Sequence[Observation],
        prior: Prior | None,
        seeds: Sequence[int],
    ) -> None:
        """Give the attack several targets, to be attacked at once.

        Args:
            observations: observations of one victim, which differ only in what was observed.
            prior: the prior, for attacks whose options say `needs_prior`.
            seeds: the seed of all randomness, for each target.

        Raises:
            BenchmarkError: a prior is needed and there is none, or the options do not fit it.
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
        """Everything that the attacker sees. Of several targets, which share a victim, it is the first."""
        return self._given.observations[0]

    @property
    def batch_norm_moments(self) -> Mapping[str, Moments] | None:
        """BatchNorm statistics to match, by layer.

        Returns:
            Moments of shape (C,), or (targets, C) if each target has its own; `None` if none are granted.
        """
        return self._given.moments()

    @property
    def prior(self) -> Prior:
        """The prior, for attacks that need one."""
        assert self._given.prior is not None
        return self._given.prior

    @property
    def image_size(self) -> int:
        """The side of the images under attack, in pixels.

        Raises:
            BenchmarkError: they are not square.
        """
        size = self.observation.model.image_size
        if not isinstance(size, int):
            raise BenchmarkError(f"{type(self).__name__} is for square images, not for {size[0]}x{size[1]}")
        return size

    def reconstruction(self, target: int = 0) -> Reconstruction:
        """The answer for a target, after the Trainer has finished.

        Args:
            target: the number of the target, from 0.

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
        how = self.loss, self.options.stop, lanes, self.to_the_last_digit
        asked = self.observation.oracle if isinstance(self.observation, WithheldObservation) else None
        remote = asked.judge(self.client, *how) if asked is not None else None
        self.judge: Judge | RemoteJudge = remote or Judge(clients, *how)
        self.course.best.floor = self.judge.floor
        self.course.to(self.device)
        self.labels = self.labels.to(self.device)
        if self._given.prior is not None:
            self._given.prior.to(self.device)
        self.prepare()
        self._penalties = [each for each in self.penalties() if each.weight]
