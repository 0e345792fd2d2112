"""The checks of a submission that cost no attack, each with a name of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.scoring.identification import Lineup
from gifd_bench.benchmark.scoring.scorer import score, worth_of
from gifd_bench.common.errors import UserError
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.fingerprint import is_same
from gifd_bench.leaderboard.matching import UpdateDistance
from gifd_bench.leaderboard.observation_set import Index, checksum
from gifd_bench.leaderboard.protocol import Protocol as Track
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.rerun.earlier import Earlier
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.reconstruction import SubmittedAnswer
from gifd_bench.leaderboard.submission.schema import Result
from gifd_bench.leaderboard.submission.signature import signer
from gifd_bench.leaderboard.text import shown
from gifd_bench.leaderboard.verification.closeness import suspicion
from gifd_bench.leaderboard.verification.report import Check, Moment, Score, Verdict
from gifd_bench.tasks.truth import Truth

# Machines differ in last bits: of a matching loss near 0 as much as of a large one.
LOSS_TOLERANCE = 1e-5
RELATIVE_TOLERANCE = 1e-3
EXAMPLES = 3
MOST_CHARACTERS = 500


class Failed(Exception):
    """A check failed, and later checks would be meaningless."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.detail)
        self.check = check


def check_files(submission: SubmissionFolder, protocol: Track) -> Check:
    """Check that all files of a submission exist and are well-formed, and that there are no others.

    Raises:
        Failed: they are not.
    """
    try:
        found = submission.file.protocol
        if found != protocol.key:
            raise LeaderboardError(f"of protocol {found}, not {protocol.key}")
        submission.check_files()
    except LeaderboardError as error:
        raise Failed(Check(name="files", verdict=Verdict.FAILED, detail=_detail(str(error)))) from error
    return Check(name="files", verdict=Verdict.PASSED, detail=f"{len(submission.results)} reconstructions")


def check_signature(submission: SubmissionFolder, files: Mapping[str, str]) -> tuple[Check, str | None]:
    """Who signed the submission, and the check of the signature.

    Args:
        submission: the submission, which is not trusted.
        files: SHA-256 of its files, by path.

    Raises:
        Failed: there is a signature, and it is not one of these files.
    """
    try:
        owner = signer(submission, files)
    except UserError as error:
        detail = _detail(str(error))
        raise Failed(Check(name="signature", verdict=Verdict.FAILED, detail=detail)) from error
    if owner is None:
        return Check(name="signature", verdict=Verdict.SKIPPED, detail="not signed"), None
    return Check(name="signature", verdict=Verdict.PASSED, detail=f"by {owner}"), owner


def check_observations(results: Mapping[str, Result], index: Index) -> Check:
    """Check that the attacked observations are those of the protocol.

    Raises:
        Failed: an observation does not exist, or a file is not the published one.
    """
    wrong = []
    for name, result in results.items():
        item = index.observations.get(name)
        if item is None:
            wrong.append(f"there is no observation {name}")
        elif result.observation != item.sha256 and not is_same(result.fingerprint, item.fingerprint):
            wrong.append(f"{name}: another observation was attacked")
    return _all("observations", wrong, "all are the protocol's")


def check_checksums(submission: SubmissionFolder) -> Check:
    """Check that the reconstructions are those that the results describe.

    Raises:
        Failed: one is not.
    """
    wrong = [
        f"{name}: the reconstruction is not the one that results.json speaks of"
        for name, result in submission.results.items()
        if checksum(submission.reconstruction(name)) != result.sha256
    ]
    return _all("checksums", wrong, "all agree")


def read_answers(submission: SubmissionFolder, index: Index) -> dict[str, SubmittedAnswer]:
    """Every reconstruction: images in [0, 1] of the right shape, labels of the victim's classes.

    Raises:
        Failed: one is not.
    """
    answers, wrong = {}, []
    for name in submission.results:
        item = index.observations[name]
        try:
            answers[name] = submission.answer(name, item.images, item.size)
            if int(answers[name].labels.max()) >= item.classes:
                raise LeaderboardError(f"{name}: labels must be below {item.classes}")
        except LeaderboardError as error:
            wrong.append(str(error))
    _all("images", wrong, "")
    return answers


def check_complete(results: Mapping[str, Result], index: Index) -> Check:
    """Check that every observation is answered; otherwise the entry is shown without a rank."""
    missing = sorted(index.observations.keys() - results.keys())
    if not missing:
        return Check(name="complete", verdict=Verdict.PASSED, detail=f"all {len(results)} observations")
    detail = f"{len(missing)} of {len(index.observations)} observations are not answered: {_some(missing)}"
    return Check(name="complete", verdict=Verdict.NOTED, detail=detail)


def check_budget(results: Mapping[str, Result], most: int) -> Check:
    """Check that no more gradient evaluations were spent than the protocol grants.

    Raises:
        Failed: more were spent on some observation.
    """
    wrong = [
        f"{name}: {result.gradient_evaluations:,} gradient evaluations of {most:,}"
        for name, result in results.items()
        if result.gradient_evaluations > most
    ]
    return _all("budget", wrong, f"at most {most:,} gradient evaluations")


@dataclass(frozen=True)
class Judged:
    """An answer, computed anew.

    Attributes:
        score: its numbers.
        suspicion: why a person should look at it, or `None`.
    """

    score: Score
    suspicion: str | None


class HasEvaluations(Protocol):
    """What an answer took."""

    @property
    def gradient_evaluations(self) -> int:
        """The evaluations over all restarts."""

    @property
    def seconds(self) -> float | None:
        """Wall-clock time; `None` if it was not measured."""


def judge(
    answer: SubmittedAnswer,
    name: str,
    spent: HasEvaluations,
    reference: Reference,
    earlier: Sequence[Earlier] = (),
) -> Judged:
    """Every metric of an answer, and its matching loss.

    Args:
        answer: images and labels.
        name: of the observation.
        spent: what the answer took.
        reference: the verifier's own observations and truths.
        earlier: what the answer would have been before.
    """
    observation, truth = reference.observations.load(name), reference.truths[name]
    item = reference.observations.index.observations[name]
    distance = UpdateDistance(observation)
    loss = distance(answer.images, answer.labels)
    reconstruction = Reconstruction(
        images=answer.images,
        labels=answer.labels,
        matching_loss=loss,
        gradient_evaluations=spent.gradient_evaluations,
        stages=(),
        curve=answer.images.new_zeros(0),
    )
    scores = score(reconstruction, truth, observation, lineup=reference.others.get(name))
    order = scores.assignment
    return Judged(
        score=Score(
            task=item.task,
            defense=item.defense,
            metrics=scores.per_image,
            matching_loss=loss,
            gradient_evaluations=spent.gradient_evaluations,
            seconds=spent.seconds,
            moments=[_moment(one, truth, reference.others.get(name)) for one in earlier],
        ),
        suspicion=suspicion(answer.images[order], answer.labels[order], truth, distance),
    )


def _moment(earlier: Earlier, truth: Truth, others: Lineup | None) -> Moment:
    worth = worth_of(earlier.images, truth.images, others)
    return Moment(gradient_evaluations=earlier.gradient_evaluations, metrics=worth)


def check_matching_loss(results: Mapping[str, Result], scores: Mapping[str, Score]) -> Check:
    """Check that the claimed matching loss is that of the submitted images and labels.

    Raises:
        Failed: it is not.
    """
    wrong = [
        f"{name}: claimed {results[name].matching_loss:.6g}, found {found.matching_loss:.6g}"
        for name, found in scores.items()
        if not _close(results[name].matching_loss, found.matching_loss, LOSS_TOLERANCE)
    ]
    return _all("matching_loss", wrong, "all as claimed")


def check_metrics(results: Mapping[str, Result], scores: Mapping[str, Score]) -> Check:
    """Check that the claimed metrics are those that are found here.

    A claim about a metric that is not available here is left out.

    Raises:
        Failed: they are not.
    """
    wrong, compared = [], 0
    for name, result in results.items():
        for metric, claimed in result.metrics.items():
            found = scores[name].metrics.get(metric)
            if found is None:
                continue
            compared += 1
            mean = sum(found) / len(found)
            if not _close(claimed, mean, RELATIVE_TOLERANCE):
                wrong.append(f"{name}: {metric} claimed {claimed:.6g}, found {mean:.6g}")
    return _all("metrics", wrong, f"{compared} claims, all as found" if compared else "none is claimed")


def check_closeness(judged: Mapping[str, Judged], name: str = "closeness") -> Check:
    """Check that no reconstruction is closer to the truth than its matching loss allows (`closeness`)."""
    odd = [f"{name}: {one.suspicion}" for name, one in judged.items() if one.suspicion is not None]
    if odd:
        return Check(name=name, verdict=Verdict.FLAGGED, detail=_some(odd))
    detail = "none is closer than its matching loss allows"
    return Check(name=name, verdict=Verdict.PASSED, detail=detail)


def _close(claimed: float, found: float, least: float) -> bool:
    return abs(claimed - found) <= max(least, RELATIVE_TOLERANCE * abs(found))


def _all(name: str, wrong: list[str], detail: str) -> Check:
    if wrong:
        raise Failed(Check(name=name, verdict=Verdict.FAILED, detail=_some(wrong)))
    return Check(name=name, verdict=Verdict.PASSED, detail=detail)


def _some(many: list[str]) -> str:
    more = len(many) - EXAMPLES
    return _detail("; ".join(many[:EXAMPLES])) + (f"; and {more} more" if more > 0 else "")


def _detail(text: str) -> str:
    return shown(text, MOST_CHARACTERS)
