"""Attacking some observations again, by the submitted class, and comparing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.scoring.assignment import assign
from gifd_bench.benchmark.scoring.metrics import psnr
from gifd_bench.common.errors import UserError
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunImpossible
from gifd_bench.leaderboard.rerun.order import Order, RerunLimits
from gifd_bench.leaderboard.rerun.rerun import attack_again
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.reconstruction import Answer
from gifd_bench.leaderboard.submission.schema import SOURCE, Use
from gifd_bench.leaderboard.text import shown
from gifd_bench.leaderboard.verification.report import Check, Verdict

# The same attack with the same seed ends elsewhere on another machine, as last bits grow from step to step;
# over some observations its quality is the same.
MOST_LOSS_DB = 1.5


@dataclass(frozen=True)
class Again:
    """A rerun's request.

    Attributes:
        count: how many observations; 0 for none.
        seed: which ones.
        limits: of each.
        weights: folder of this machine with the weights of priors, under the names that submissions call
            them by; nothing else of this machine is shown for a name.
        progress: told the name of each observation before it is attacked.
    """

    count: int = 0
    seed: int | None = None
    limits: RerunLimits = RerunLimits()
    weights: Path | None = None
    progress: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        if self.count < 0:
            raise LeaderboardError(f"rerun: a number of observations is expected, not {self.count}")

    def of(self, answers: Mapping[str, Answer]) -> int:
        """How many there are to attack again."""
        return min(self.count, len(answers))


def check_rerun(
    submission: SubmissionFolder, answers: Mapping[str, Answer], reference: Reference, again: Again
) -> Check:
    """The submitted class, with an observation and nothing else, does what was submitted.

    Its gradient evaluations must be those claimed, and its images as good on average as the submitted ones.

    Raises:
        RerunRefused: there is no sandbox here.
    """

    def check(verdict: Verdict, detail: str) -> Check:
        return Check(name="rerun", verdict=verdict, detail=detail)

    if again.count == 0:
        return check(Verdict.SKIPPED, "not asked for")
    order = submission.file.rerun
    if order is None:
        return check(Verdict.SKIPPED, "the submission has no attack that could run here")
    try:
        prior = _prior(order.prior, again.weights) if order.prior else None
    except _NoWeights as error:
        return check(Verdict.SKIPPED, str(error))
    except LeaderboardError as error:
        return check(Verdict.FAILED, str(error))
    chosen = sorted(random.Random(again.seed).sample(sorted(answers), again.of(answers)))
    submitted, found = [], []
    for name in chosen:
        again.progress(name)
        result = submission.results[name]
        if result.seed is None:
            return check(Verdict.FAILED, f"{name}: without a seed it cannot be attacked again")
        its = Order(
            attack=order.attack.model_dump(),
            prior=prior,
            seed=result.seed,
            source=submission.source if order.attack.use.startswith(SOURCE) else None,
        )
        try:
            answer = attack_again(reference.observations.file(name), its, again.limits)
        except RerunImpossible as error:
            return check(Verdict.SKIPPED, shown(error))
        except RerunFailed as error:
            return check(Verdict.FAILED, f"{name}: {error}")
        if answer.gradient_evaluations != result.gradient_evaluations:
            return check(
                Verdict.FAILED,
                f"{name}: {answer.gradient_evaluations:,} gradient evaluations, "
                f"{result.gradient_evaluations:,} were claimed",
            )
        truth = reference.truths[name].images
        submitted.append(_quality(answers[name].images, truth))
        found.append(_quality(answer.images, truth))
    claimed, mean = sum(submitted) / len(submitted), sum(found) / len(found)
    detail = f"{mean:.2f} dB over observations {', '.join(chosen)}, {claimed:.2f} dB were submitted"
    return check(Verdict.PASSED if mean >= claimed - MOST_LOSS_DB else Verdict.FAILED, detail)


class _NoWeights(LeaderboardError):
    """The weights of a prior are not on this machine."""


def _prior(use: Use, weights: Path | None) -> dict[str, Any]:
    """A submitted prior with its files where they are on this machine.

    A path of the submission's own could be that of private images.

    Raises:
        LeaderboardError: there is no such prior, or it does not take these options.
    """
    prior = Component.from_config("prior", use.model_dump())
    try:
        arguments = prior.arguments()
    except (UserError, TypeError) as error:
        raise LeaderboardError(f"the prior's configuration is wrong: {shown(error)}") from error
    options = dict(prior.options)
    for option, value in arguments.items():
        if isinstance(value, Path):
            here = weights / value.name if weights and value.name not in ("", "..") else None
            if here is None or not here.exists():
                raise _NoWeights(f"the prior's weights '{shown(value.name, 80)}' are not here")
            options[option] = str(here)
    return {**prior.config(), "options": options}


def _quality(images: Tensor, truth: Tensor) -> float:
    """Mean PSNR in dB, by the scorer's assignment."""
    return float(psnr(images[assign(images, truth)], truth).mean())
