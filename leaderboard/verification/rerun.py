"""Attacking some observations again, by the submitted class, and comparing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from benchmark.scoring.assignment import assign
from benchmark.scoring.scorer import psnr
from leaderboard.reference import Reference
from leaderboard.rerun import Order, RerunFailed, RerunLimits, attack_again
from leaderboard.submission.folder import SubmissionFolder
from leaderboard.submission.reconstruction import Answer
from leaderboard.submission.schema import SOURCE
from leaderboard.verification.report import Check, Verdict

# The same attack with the same seed ends elsewhere on another machine, as last bits grow from step to
# step; over # some observations its quality is the same.
MOST_LOSS_DB = 1.5


@dataclass(frozen=True)
class Again:
    """A rerun's request.

    Attributes:
        count: how many observations; 0 for none.
        seed: which ones.
        limits: of each.
        progress: told the name of each observation before it is attacked.
    """

    count: int = 0
    seed: int | None = None
    limits: RerunLimits = RerunLimits()
    progress: Callable[[str], None] = lambda _: None


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
    names = sorted(answers)
    chosen = sorted(random.Random(again.seed).sample(names, min(again.count, len(names))))
    submitted, found = [], []
    for name in chosen:
        again.progress(name)
        result = submission.results[name]
        if result.seed is None:
            return check(Verdict.FAILED, f"{name}: without a seed it cannot be attacked again")
        its = Order(
            attack=order.attack.model_dump(),
            prior=order.prior.model_dump() if order.prior else None,
            seed=result.seed,
            source=submission.source if order.attack.use.startswith(SOURCE) else None,
        )
        try:
            answer = attack_again(reference.observations.file(name), its, again.limits)
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


def _quality(images: Tensor, truth: Tensor) -> float:
    """Mean PSNR in dB, by the scorer's assignment."""
    return float(psnr(images[assign(images, truth)], truth).mean())
