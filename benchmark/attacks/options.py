"""The options of attacks: typed, read by planning too, and made without torch."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from typing_extensions import Self

from gifd_bench.benchmark.attacks.search_space import Draw
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.choices import (
    KEEPS,
    NEED_KNOWN_DEFENSE,
    STOPS,
    Distance,
    Keep,
    Matching,
    Stop,
    simplest,
)
from gifd_bench.benchmark.inversion.halving import Halvings
from gifd_bench.benchmark.inversion.labels.rules import LABEL_RULES, unmet_by_rule
from gifd_bench.tasks.threat_model import ThreatModel

# They lie side by side in memory, or their results do.
MOST_RESTARTS = 10_000


@dataclass(frozen=True)
class Stage:
    """A part of a restart with one set of searched tensors and one optimizer.

    Attributes:
        name: the name of the stage in tables and curves.
        iterations: iterations of the optimizer.
        members: searches side by side in a restart; the best of them continues to the next stage.
    """

    name: str
    iterations: int
    members: int = 1


@dataclass(frozen=True, kw_only=True)
class AttackOptions(ABC):
    """The options of every attack; each attack has a subclass of its own.

    Attributes:
        restarts: the number of searches from a new starting point.
        stop: which iterate is the answer: the one with the lowest `matching_loss`; under noise, by the
            principle of `discrepancy`, the first one that fits the update as well as the truth would; or
            the one that best fits a part of the update that is `held_out` from the search.
        label_rule: how labels are inferred if they are not granted: a registered name, an import path or a
            file. `None` uses `idlg` for a single image and `counts` for more.
        loss: the matching loss: a distance by name, or a mapping such as `{distance: masked_cosine,
            fraction: 0.1}`.
        restarts_at_once: the largest number of restarts that run side by side, which is faster and takes
            more memory; `None` for all of them.
        keep: which of the restarts that run side by side run to their end: `all`, or by successive
            `halving` fewer and fewer of them, where the worst ones, by the criterion that chooses the
            answer, are dropped.
    """

    needs_prior: ClassVar[bool] = False

    restarts: int = 1
    stop: Stop = "matching_loss"
    label_rule: str | None = "counts"
    loss: Distance | Matching = "cosine"
    restarts_at_once: int | None = None
    keep: Keep = "all"

    def __post_init__(self) -> None:
        at_least(1, restarts=self.restarts)
        if self.restarts > MOST_RESTARTS:
            raise BenchmarkError(f"restarts must be {MOST_RESTARTS:,} at most, not {self.restarts:,}")
        if self.restarts_at_once is not None:
            at_least(1, restarts_at_once=self.restarts_at_once)
        if self.keep not in KEEPS:
            raise BenchmarkError(f"keep must be one of {', '.join(KEEPS)}, not {self.keep}")
        if self.keep == "halving" and self.at_once == 1:
            raise BenchmarkError(
                "keep: halving is for two restarts or more that run side by side, not for one"
            )
        if self.stop not in STOPS:
            raise BenchmarkError(f"stop must be one of {', '.join(STOPS)}, not {self.stop}")
        if self.label_rule is not None:
            LABEL_RULES.path(self.label_rule)
        object.__setattr__(self, "loss", simplest(self.loss))

    @abstractmethod
    def stages(self, prior_stages: tuple[str, ...]) -> tuple[Stage, ...]:
        """The stages of one restart, in order.

        Args:
            prior_stages: the names of the prior's stages; empty without a prior.

        Raises:
            BenchmarkError: the options do not fit the prior.
        """

    @property
    def at_once(self) -> int:
        """The number of restarts that run side by side."""
        return min(self.restarts, self.restarts_at_once or self.restarts)

    def halvings(self, restarts: int, iterations: int) -> Halvings:
        """When, and how many, of the restarts that run side by side are dropped."""
        kind = Halvings.down_to_one if self.keep == "halving" else Halvings.none
        return kind(restarts, iterations)

    def total_iterations(self, prior_stages: tuple[str, ...]) -> int:
        """The inversion iterations over all stages and restarts."""
        return self.restarts * sum(stage.iterations for stage in self.stages(prior_stages))

    def total_evaluations(self, prior_stages: tuple[str, ...]) -> int:
        """The largest number of gradient evaluations over all stages and restarts.

        There is one in each iteration for each member, and one for the iterate of each member after the
        last step of a restart.

        Args:
            prior_stages: the names of the prior's stages; empty without a prior.
        """
        stages = self.stages(prior_stages)
        ends = list(itertools.accumulate(stage.iterations for stage in stages))
        groups, rest = divmod(self.restarts, self.at_once)
        total = 0
        for count, restarts in ((groups, self.at_once), (1, rest)):
            halvings = self.halvings(restarts, ends[-1])
            of_group = halvings.at_the_end * self.members_at_the_end(stages[-1])
            for stage, end in zip(stages, ends, strict=True):
                of_group += stage.members * halvings.restart_iterations(end - stage.iterations, end)
            total += count * of_group
        return total

    def members_at_the_end(self, stage: Stage) -> int:
        """The number of iterates of a restart that are evaluated after its last step."""
        return stage.members

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        """These options with everything worth tuning drawn, so that they spend a budget.

        Args:
            draw: picks each value from the range that the attack names.
            evaluations: the largest number of gradient evaluations of all restarts together.
            prior_stages: the names of the prior's stages; empty without a prior.

        Raises:
            BenchmarkError: the attack declares nothing to tune, or the budget is too small for it.
        """
        raise BenchmarkError(f"{type(self).__name__} declares no search space: it has no method `tuned`")

    def unmet(self, threat_model: ThreatModel, is_difference: bool) -> str | None:
        """What the attack needs and a threat model does not grant, in one line; `None` if it can run.

        Args:
            threat_model: what the attacker is granted.
            is_difference: whether parameters after local training are sent, and not one gradient.
        """
        loss = self.loss_in_full
        if is_difference and threat_model.local_settings == "unknown" and not loss.ignores_scale:
            return (
                f"loss={loss.distance} needs the length of the update, which local training with unknown "
                "settings hides"
            )
        if self.stop in NEED_KNOWN_DEFENSE and threat_model.defense == "unknown":
            return f"stop={self.stop} needs to know of the defense: threat_model.defense=kind or parameters"
        return None

    def unmet_labels(self, threat_model: ThreatModel, images: int, classes: int | None) -> str | None:
        """Why the labels of a batch cannot be inferred, in one line; `None` if they can, or are granted.

        Args:
            threat_model: what the attacker is granted.
            images: the number of images behind the update that the server sees, of all clients together.
            classes: the number of classes of the victim; `None` if it is not known yet.
        """
        if threat_model.labels == "known":
            return None
        return unmet_by_rule(self.label_rule_for(images), images, classes)

    def label_rule_for(self, images: int) -> str:
        """The name of the label rule for a batch of this many images."""
        return self.label_rule or ("idlg" if images == 1 else "counts")

    @property
    def loss_in_full(self) -> Matching:
        """The matching loss with all of its options, even if only a name was given."""
        return self.loss if isinstance(self.loss, Matching) else Matching(self.loss)


@dataclass(frozen=True, kw_only=True)
class OneStageOptions(AttackOptions):
    """Options of an attack whose restarts have one stage.

    Attributes:
        iterations: iterations of one restart.
    """

    stage: ClassVar[str]

    iterations: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, iterations=self.iterations)

    def stages(self, prior_stages: tuple[str, ...]) -> tuple[Stage, ...]:
        return (Stage(self.stage, self.iterations),)

    def within(self, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        """These options with as many iterations as a budget of gradient evaluations allows.

        Raises:
            BenchmarkError: it does not allow a single one.
        """
        one = replace(self, iterations=1).total_evaluations(prior_stages)
        another = replace(self, iterations=2).total_evaluations(prior_stages) - one
        iterations = 1 + (evaluations - one) // another
        if iterations < 1:
            raise BenchmarkError(
                f"{evaluations} gradient evaluations are too few: one iteration takes {one}"
            )
        return replace(self, iterations=iterations)


def at_least(least: float, **options: float) -> None:
    """Check that options are finite numbers, and not below `least`.

    Raises:
        BenchmarkError: one of them is not.
    """
    for name, value in options.items():
        if not least <= value < math.inf:
            raise BenchmarkError(f"{name} must be at least {least:g}, not {value}")


def positive(**options: float) -> None:
    """Check that options are finite numbers above 0.

    Raises:
        BenchmarkError: one of them is not.
    """
    for name, value in options.items():
        if not 0 < value < math.inf:
            raise BenchmarkError(f"{name} must be positive, not {value}")
