"""What an audit does: which attacks, for how long, and what it leaves out. It is decided once, and kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.auditing.budget import Cost, shares
from gifd_bench.benchmark.auditing.portfolio import AttackChoice, NotTried, scaled
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.pace import seconds_of
from gifd_bench.benchmark.matrix.unmet import options_of
from gifd_bench.benchmark.results.record import STRICT, read_record, write_record
from gifd_bench.common.errors import StorageError, one_line
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.observation import Observation

# Fewer gradient evaluations than this say nothing of an attack, nor does less than a part of all of its.
LEAST_EVALUATIONS = 100
LEAST_PART = 0.03
# What the search for an attack's pace may take, and what part of all the time all of these.
TRYING = 0.3
TRYING_PART = 0.2


@dataclass(frozen=True)
class Trial:
    """An attack that is tried.

    Attributes:
        label: its label, and the name of its folder.
        attack: the attack, as the configuration of a component.
        prior: the prior, as the configuration of a component.
        seconds: its share of the time.
        part: the part of the gradient evaluations of its full settings that it gets, at most 1.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    label: str
    attack: dict[str, Any]
    prior: dict[str, Any] | None
    seconds: float
    part: float

    def components(self) -> tuple[Component, Component | None]:
        """The attack and the prior."""
        prior = None if self.prior is None else Component.from_config("prior", self.prior)
        return Component.from_config("attack", self.attack), prior


@dataclass(frozen=True)
class Omission:
    """What is not tried, and why."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    label: str
    reason: str


@dataclass(frozen=True)
class AuditPlan:
    """The content of `plan.json`.

    Attributes:
        trials: the attacks, the cheapest first, so that the time that they do not use goes to the others.
        omissions: what is not tried.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    trials: tuple[Trial, ...]
    omissions: tuple[Omission, ...]

    def write(self, path: Path) -> None:
        """Write the file, completely or not at all."""
        write_record(self, path)

    @classmethod
    def read(cls, path: Path) -> AuditPlan:
        """Read the file.

        Raises:
            FileError: it is damaged or missing.
        """
        return read_record(cls, path)


def make_plan(
    observation: Observation,
    candidates: Sequence[AttackChoice],
    excluded: Sequence[NotTried],
    priors: Mapping[str, Prior],
    seconds: float,
) -> AuditPlan:
    """Start each attack for a short time to measure it, and divide the time among the attacks.

    Args:
        observation: what is attacked.
        candidates: what can be tried, the most promising first.
        excluded: what cannot be tried.
        priors: the priors by their canonical text.
        seconds: wall-clock time for all attacks together, including the time that is spent here.

    Raises:
        BenchmarkError: none of the attacks can be started.
    """
    began = time.monotonic()
    limit = min(TRYING, TRYING_PART * seconds / len(candidates))
    paced: list[tuple[AttackChoice, Cost]] = []
    omissions = [Omission(**asdict(one)) for one in excluded]
    for candidate in candidates:
        prior = None if candidate.prior is None else priors[candidate.prior.canonical]
        try:
            attack: Attack = candidate.attack.build()
            pace = seconds_of(attack, observation, prior, limit)
        except (KeyboardInterrupt, StorageError):
            raise
        except Exception as error:  # What one attack cannot do costs the audit that attack.
            omissions.append(
                Omission(
                    candidate.label, f"it cannot be started ({type(error).__name__}: {one_line(error)})"
                )
            )
            continue
        stages = () if prior is None else prior.stages
        full = options_of(candidate.attack).total_evaluations(stages)
        least = max(LEAST_EVALUATIONS, LEAST_PART * full)
        paced.append((candidate, Cost(full * pace, least * pace)))
    if not paced:
        raise BenchmarkError("; ".join(f"{one.label}: {one.reason}" for one in omissions))
    left = max(0.1 * seconds, seconds - (time.monotonic() - began))
    trials = []
    for (candidate, cost), share in zip(paced, shares([cost for _, cost in paced], left), strict=True):
        if share is None:
            reason = "a fair share of the time is too little for it here; raise the seconds"
            omissions.append(Omission(candidate.label, reason))
            continue
        part = min(1.0, share / cost.full)
        attack_part = candidate.attack if part == 1 else scaled(candidate.attack, part)
        trials.append(
            Trial(
                candidate.label,
                attack_part.config(),
                candidate.prior.config() if candidate.prior else None,
                round(share, 3),
                round(part, 6),
            )
        )
    return AuditPlan(tuple(sorted(trials, key=lambda trial: trial.seconds)), tuple(omissions))
