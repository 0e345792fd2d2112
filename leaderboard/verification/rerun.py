"""Attacking observations again with the submitted class, with seeds that nobody could choose."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import Tensor

from gifd_bench.benchmark.inversion.assignment import assign
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.scoring.metrics import psnr
from gifd_bench.common.errors import UserError
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.rerun.answer import RerunAnswer
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunImpossible
from gifd_bench.leaderboard.rerun.job import RerunLimits
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.schema import SOURCE, Use
from gifd_bench.leaderboard.text import shown
from gifd_bench.leaderboard.verification.attack_all import Ordered, attack_all, labels_of
from gifd_bench.leaderboard.verification.report import Check, Verdict
from gifd_bench.leaderboard.verification.rerun_folder import SEED_BITS, RerunFolder, rerun_folder


@dataclass(frozen=True)
class RerunRequest:
    """What is attacked again, and how.

    Attributes:
        count: the number of observations, drawn at random; `None` for all, 0 for none. Only all of them
            make a submission verified.
        limits: the limits of each attack.
        weights: a folder of this machine with the weights of priors, under the names that submissions use;
            nothing else of this machine is shown for a name.
        folder: the folder with the answers of all submissions, so that a rerun that was interrupted
            continues.
        jobs: the number of attacks that run at the same time.
        twins: the number of secret twins that are attacked as well, if all observations are.
        progress: is called with the name of each observation before it is attacked.
    """

    count: int | None = 0
    limits: RerunLimits = RerunLimits()
    weights: Path | None = None
    folder: Path | None = None
    jobs: int = 1
    twins: int = 0
    progress: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 0:
            raise LeaderboardError(f"rerun: a number of observations is expected, not {self.count}")
        if self.twins < 0:
            raise LeaderboardError(f"rerun: a number of twins is expected, not {self.twins}")
        if self.jobs < 1:
            raise LeaderboardError(f"rerun: at least one job is expected, not {self.jobs}")

    def of(self, names: Iterable[str], seed: int) -> list[str]:
        """The observations that are attacked again."""
        every = sorted(names)
        if self.count is None or self.count >= len(every):
            return every
        return sorted(random.Random(seed).sample(every, self.count))


@dataclass(frozen=True)
class Reruns:
    """The result of a rerun.

    Attributes:
        check: the result in one line.
        answers: answers by observation; empty unless the check passed.
        seed: the seed from which their seeds were drawn.
        ordered: the attack that answered, if there is one.
        folder: the folder that keeps its answers, if there is one.
    """

    check: Check
    answers: Mapping[str, RerunAnswer] = field(default_factory=dict)
    seed: int | None = None
    ordered: Ordered | None = None
    folder: RerunFolder | None = None


def rerun(
    submission: SubmissionFolder,
    files: Mapping[str, str],
    names: Collection[str],
    reference: Reference,
    request: RerunRequest,
) -> Reruns:
    """Let the submitted class attack observations, each with nothing else in sight.

    Nothing that was claimed has an influence here: not the seeds, not the images, not the evaluations.

    Args:
        submission: the submission, which is not trusted.
        files: SHA-256 of its files, by path.
        names: the names of the observations that it answers.
        reference: the verifier's own observations and truths.
        request: how many observations are attacked again, and how.

    Raises:
        RerunRefused: there is no sandbox here.
    """

    def ended(verdict: Verdict, detail: str) -> Reruns:
        return Reruns(Check(name="rerun", verdict=verdict, detail=detail))

    if request.count == 0:
        return ended(Verdict.SKIPPED, "not asked for")
    how = submission.file.rerun
    if how is None:
        return ended(Verdict.SKIPPED, "the submission has no attack that could run here")
    try:
        prior = prior_here(how.prior, request.weights) if how.prior else None
    except _NoWeights as error:
        return ended(Verdict.SKIPPED, str(error))
    except LeaderboardError as error:
        return ended(Verdict.FAILED, str(error))
    index = reference.observations.index
    odd = how.unknown_label(*labels_of(index))
    if odd is not None:
        return ended(Verdict.FAILED, f"overrides: no observation of {index.protocol} has label '{odd}'")
    folder = rerun_folder(request.folder, files, index) if request.folder else None
    drawn = folder.seed() if folder else secrets.randbits(SEED_BITS)
    chosen = request.of(names, drawn)
    ordered = Ordered(how, prior, submission.source if how.attack.use.startswith(SOURCE) else None)
    try:
        answers = attack_all(ordered, chosen, reference.observations, request, drawn, folder)
    except RerunImpossible as error:
        return ended(Verdict.SKIPPED, shown(error))
    except RerunFailed as error:
        return ended(Verdict.FAILED, shown(error, 500))
    some = "all observations" if len(chosen) == len(names) else f"observations {', '.join(chosen)}"
    qualities = [_quality(answer.images, reference.truths[name].images) for name, answer in answers.items()]
    detail = (
        f"{fmean(qualities):.2f} dB over {some}, {_claim(submission, answers, reference):.2f} dB claimed"
    )
    return Reruns(
        Check(name="rerun", verdict=Verdict.PASSED, detail=detail), answers, drawn, ordered, folder
    )


def _claim(submission: SubmissionFolder, names: Iterable[str], reference: Reference) -> float:
    """The mean PSNR in dB of the submitted images."""
    index, found = reference.observations.index, []
    for name in names:
        item = index.observations[name]
        images = submission.answer(name, item.images, item.size).images
        found.append(_quality(images, reference.truths[name].images))
    return fmean(found)


class _NoWeights(LeaderboardError):
    """The weights of a prior are not on this machine."""


def prior_here(use: Use, weights: Path | None) -> dict[str, Any]:
    """A submitted prior, with its files as they are on this machine.

    A path in the submission itself could be that of private images.

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
    """The mean PSNR in dB, with the scorer's assignment."""
    return float(psnr(images[assign(images, truth)], truth).mean())
