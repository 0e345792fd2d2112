"""The result of a verification, as it is stored beside a submission."""

from __future__ import annotations

from collections.abc import Sequence, Set
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError

from gifd_bench.common.files import read_json, write_json
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.text import Date, PublicKey, Sha256, Strict, first_error

FORMAT: Literal["gifd-bench/verification/1"] = "gifd-bench/verification/1"
# Of the metrics' code: a new one re-scores every entry.
SCORING_VERSION = 2


class Verdict(str, Enum):
    """The verdict of one check.

    A note costs the rank; a flag asks for a person, who may clear it; a failure rejects the submission; and
    a check that was not asked for is skipped.
    """

    PASSED = "passed"
    NOTED = "noted"
    FLAGGED = "flagged"
    CLEARED = "cleared"
    FAILED = "failed"
    SKIPPED = "skipped"


class Standing(str, Enum):
    """The standing of a submission.

    If it is `verified`, every image that is scored was made here by the submitted class. If it is
    `self-reported`, it passed every check, but its images are those that were submitted.
    """

    VERIFIED = "verified"
    SELF_REPORTED = "self-reported"
    FLAGGED = "flagged"
    REJECTED = "rejected"


class _Kept(Strict):
    # Read back from JSON, enumerations are text.
    model_config = ConfigDict(extra="forbid", strict=False, frozen=True, allow_inf_nan=False)


class Check(_Kept):
    """One check.

    Attributes:
        name: the name of the check, such as `matching_loss`.
        detail: one line that says what was found, and where.
    """

    name: str
    verdict: Verdict
    detail: str


class Moment(_Kept):
    """What an answer would have been worth if the attack had been stopped earlier.

    Attributes:
        gradient_evaluations: the evaluations spent until then, as the process of the attack counted them.
        metrics: their means over the private images.
    """

    gradient_evaluations: int
    metrics: dict[str, float]


class Score(_Kept):
    """The scored answer to one observation.

    Attributes:
        task, defense: the labels of the observation.
        metrics: one value for each private image, in the truth's order, by the name of the metric; `None`
            if it was not available.
        matching_loss: the recomputed matching loss; see `gifd_bench.leaderboard.matching`.
        gradient_evaluations, seconds: as claimed, or as a rerun counted them.
        moments: earlier answers by increasing evaluations; only reruns have them, and older entries have
            none.
    """

    task: str
    defense: str
    metrics: dict[str, list[float] | None]
    matching_loss: float
    gradient_evaluations: int
    seconds: float | None
    moments: list[Moment] = Field(default_factory=list)


class Verification(_Kept):
    """The content of `verification.json`.

    Attributes:
        protocol: its key.
        scoring: `SCORING_VERSION` of the scores.
        checks: the checks in the order in which they were made.
        complete: whether every observation of the protocol was answered; otherwise it is shown, and not
            ranked.
        rerun: the number of observations that were attacked again.
        scores: scores by observation; empty if a check failed before they were computed. They are those of
            the rerun's images if all were attacked again, and else of the submitted ones.
        claims: if the scores are those of the rerun, the scores of the submitted images.
        seed: the seed from which the seeds of the rerun were drawn.
        files: SHA-256 of every file that was verified, by its path in the submission, and of the rerun's
            images, by `rerun/NAME.safetensors`.
        accepted: the day of the acceptance, such as 2026-01-31.
        owner: the public key that signed the submission; `None` if nobody did.
    """

    format: Literal["gifd-bench/verification/1"] = FORMAT
    protocol: str
    scoring: int
    checks: Annotated[list[Check], Field(min_length=1)]
    complete: bool
    rerun: int
    scores: dict[str, Score]
    claims: dict[str, Score] = Field(default_factory=dict)
    seed: int | None = None
    files: dict[str, Sha256] = Field(default_factory=dict)
    accepted: Date | None = None
    owner: PublicKey | None = None

    @property
    def reranked(self) -> bool:
        """Whether the verifier made every image that is scored."""
        return bool(self.claims) and self.rerun == len(self.scores)

    @property
    def standing(self) -> Standing:
        """The standing that follows from the checks."""
        verdicts = {check.verdict for check in self.checks}
        if Verdict.FAILED in verdicts:
            return Standing.REJECTED
        if Verdict.FLAGGED in verdicts:
            return Standing.FLAGGED
        return Standing.VERIFIED if self.reranked else Standing.SELF_REPORTED

    def cleared(self, names: Set[str]) -> Verification:
        """The verification after a person has looked at the flagged checks of these names."""
        checks = [
            check.model_copy(update={"verdict": Verdict.CLEARED})
            if check.verdict is Verdict.FLAGGED and check.name in names
            else check
            for check in self.checks
        ]
        return self.model_copy(update={"checks": checks})

    def problems(self) -> Sequence[Check]:
        """Checks that failed or ask for a person, the worst first."""
        return [
            check
            for verdict in (Verdict.FAILED, Verdict.FLAGGED)
            for check in self.checks
            if check.verdict is verdict
        ]


def write_verification(path: Path, verification: Verification) -> None:
    """Store a verification."""
    write_json(path, verification.model_dump(mode="json"))


def read_verification(path: Path) -> Verification:
    """Read a verification back.

    Raises:
        LeaderboardError: it is damaged.
    """
    try:
        return Verification.model_validate(read_json(path))
    except ValidationError as error:
        raise LeaderboardError(f"{path}: {first_error(error)}") from error
