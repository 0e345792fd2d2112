"""The verdict of an audit in words, with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from gifd_bench.benchmark.auditing.owner import AttackScore, ImageScore, Owned
from gifd_bench.benchmark.auditing.trials import Found, doubts
from gifd_bench.benchmark.self_check import ObservationCheck

# Private images are recognized; partly; or no attack came near them. Without the truth none of these can
# be said: what attackers hold explains the update, and only the owner can tell whether it is hers; or no
# attack explains it at all.
Outcome = Literal["recognized", "partly", "not_recognized", "unjudged", "unexplained"]
HEADLINES: dict[Outcome, str] = {
    "recognized": "Recognized",
    "partly": "Partly recognized",
    "not_recognized": "Not recognized",
    "unjudged": "Not judged",
    "unexplained": "Wrongly described, or not attackable: this says nothing about safety",
}
FailIf = Literal["identified", "partly"]
FAIL_IF: tuple[FailIf, ...] = get_args(FailIf)
# Where no attack had so many gradient evaluations (the demonstration gives each 300), that nothing was
# recognized says nothing.
ENOUGH_EVALUATIONS = 200
_FAILING: dict[FailIf, frozenset[Outcome]] = {
    "identified": frozenset({"recognized", "unjudged", "unexplained"}),
    "partly": frozenset({"recognized", "partly", "unjudged", "unexplained"}),
}


@dataclass(frozen=True)
class JudgedAnswer:
    """One attack's answer, and how near it came.

    Attributes:
        found: the answer.
        score: `None` if the truth is not given, or the attack failed.
    """

    found: Found
    score: AttackScore | None


@dataclass(frozen=True)
class AuditVerdict:
    """The verdict of an audit.

    Attributes:
        outcome: the outcome in one word, as in `AuditReport`.
        sentences: the reasons, in words.
        images: the number of private images.
        recognized, identified: the number of images that the best attack recognized and identified; `None`
            if the truth is not given.
        chosen: the answer that an attacker would consider the best: it explains the update best.
        best: the answer that came nearest to the truth; `None` if the truth is not given.
    """

    outcome: Outcome
    sentences: tuple[str, ...]
    images: int
    recognized: int | None
    identified: int | None
    chosen: JudgedAnswer | None
    best: JudgedAnswer | None

    @property
    def headline(self) -> str:
        """The outcome in a few words."""
        return HEADLINES[self.outcome]

    def fails(self, condition: FailIf | None) -> bool:
        """Whether a check fails that must not pass under a condition.

        An audit that can say nothing fails under every condition, because it is not a sign of safety.
        """
        return condition is not None and self.outcome in _FAILING[condition]


def judge(
    judged: Sequence[JudgedAnswer], images: int, owned: Owned | None, check: ObservationCheck | None
) -> AuditVerdict:
    """The verdict.

    Args:
        judged: what the attacks found, those that explain the update best first, and failed ones last.
        images: the number of private images.
        owned: the truth, if the owner gives it.
        check: whether the update is described correctly, if the owner gives labels too.
    """
    done = [one for one in judged if one.found.failure is None]
    if not done:
        return AuditVerdict(
            "unexplained", ("Every attack failed, as shown below.",), images, None, None, None, None
        )
    chosen = done[0]
    if owned is None:
        return _without_truth(done, images)
    best = max(done, key=lambda one: one.score.rank if one.score else (0, 0, 0.0))
    assert best.score is not None
    scores = best.score.images
    recognized, identified = (
        sum(one.recognized for one in scores),
        sum(one.identified for one in scores),
    )
    outcome, sentences = _with_truth(done, best, owned, check)
    return AuditVerdict(outcome, tuple(sentences), images, recognized, identified, chosen, best)


def _without_truth(done: Sequence[JudgedAnswer], images: int) -> AuditVerdict:
    chosen = done[0]
    reasons = list(dict.fromkeys(doubts([one.found for one in done])))
    explained = (
        f"The best answer, from {chosen.found.trial.label}, has an update whose cosine with the observed "
        f"one is {1 - chosen.found.distance:.4f} (1 is the same direction)."
    )
    ask = (
        "Give the private images (--images and --labels) for a verdict: they are compared on "
        "this machine, and sent nowhere."
    )
    outcome: Outcome = "unexplained" if reasons else "unjudged"
    sentences = (
        (
            "No attack explains this update. A wrong description looks like this, and so does a strong "
            "defense. It is never a sign of safety.",
            f"{_capital(reasons[0])}.",
            explained,
            ask,
        )
        if reasons
        else (
            "Without the private images, nobody can say whether the pictures below show them. Look at "
            "them: they are what a server could see.",
            explained,
            "That an update is explained well does not prove that the images are right, and one that is "
            "explained badly does not prove that they are safe.",
            ask,
        )
    )
    return AuditVerdict(outcome, sentences, images, None, None, chosen, None)


def _with_truth(
    done: Sequence[JudgedAnswer], best: JudgedAnswer, owned: Owned, check: ObservationCheck | None
) -> tuple[Outcome, list[str]]:
    assert best.score is not None
    scores, among = best.score.images, len(owned.distractors.images)
    sentences = [_nearest(best, scores, among)]
    chosen = done[0]
    if chosen is not best and chosen.score is not None and chosen.score.rank[:2] < best.score.rank[:2]:
        sentences.append(
            "An attacker who chooses the answer that explains the update best would take that of "
            f"{chosen.found.trial.label} instead, which is not as near. But nothing keeps the server from "
            "keeping all answers."
        )
    plural = "s" if len(scores) > 1 else ""
    if any(one.recognized for one in scores):
        shown = "private images" if plural else "the private image"
        return "recognized", [f"A server that receives this update can see {shown}.", *sentences]
    if any(one.identified or one.similar for one in scores):
        sentences.insert(
            0, f"A server that receives this update learns something about the private image{plural}."
        )
        times = "1 time" if len(done) == 1 else f"{len(done)} times"
        sentences.append(
            "That is more than chance, which would identify an image at most "
            f"{times} in {among + 1:,}, and less than a recognizable picture."
        )
        return "partly", sentences
    if check is not None and not check.agrees and check.cause != "undeclared defense":
        sentences.append(
            f"But the update is not described correctly ({check.cause}): {check.explanation}. Until that "
            "is corrected, a poor reconstruction says nothing."
        )
        return "unexplained", sentences
    most = max(one.found.gradient_evaluations for one in done)
    if most < ENOUGH_EVALUATIONS:
        sentences.append(
            f"But the time was enough for at most {most} gradient evaluations of an attack, which are too "
            "few to say anything. Give the attacks more time (--seconds)."
        )
        return "unjudged", sentences
    if owned.noise_like:
        sentences.append(
            "But the private images are only noise, and attacks look for images. Run the audit with real "
            "photographs, which are easier to recognize."
        )
        return "unjudged", sentences
    if check is None:
        reasons = doubts([one.found for one in done])
        if reasons:
            sentences.append(f"The cause is not known: {reasons[0]}. Give the labels, too (--labels).")
            return "unexplained", sentences
    elif not check.agrees:
        sentences.append(
            "The attacker was not told everything that was done to the update: "
            f"{check.explanation}. An attacker who knows it, or guesses it, reads more. Run an audit with "
            "this declared, too."
        )
    sentences.append(
        "This is what these attacks read in this time. It does not prove safety: other attacks, or more "
        "time, may read more."
    )
    return "not_recognized", sentences


def _nearest(best: JudgedAnswer, scores: Sequence[ImageScore], among: int) -> str:
    count, label = len(scores), best.found.trial.label
    identified = sum(one.identified for one in scores)
    top = max(scores, key=lambda one: (one.recognized, one.identified, one.psnr))
    likeness = "" if top.ssim is None else f", SSIM {top.ssim:.2f}"
    if count == 1:
        place = (
            f"is nearer to the private image than to each of {among:,} others"
            if identified
            else f"is nearer to {top.place - 1:,} of {among:,} other images than to the private one"
        )
        return f"The best reconstruction, from {label}, {place}{likeness}, PSNR {top.psnr:.1f} dB."
    recognized = sum(one.recognized for one in scores)
    nearer = "is nearer to its" if identified == 1 else "are nearer to their"
    return (
        f"The best answer, from {label}, shows {recognized} of {count} private images recognizably, and "
        f"{identified} of them {nearer} reconstruction than each of {among:,} others; the "
        "best one has"
        f"{likeness.removeprefix(',')}{',' * bool(likeness)} PSNR {top.psnr:.1f} dB."
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
