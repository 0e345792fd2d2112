"""Scoring an entry again, from what was submitted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.reconstruction import SubmittedAnswer
from gifd_bench.leaderboard.submission.schema import Result
from gifd_bench.leaderboard.verification.checks import check_closeness, judge
from gifd_bench.leaderboard.verification.report import Verdict, Verification
from gifd_bench.leaderboard.verification.twins import NAME as TWINS
from gifd_bench.leaderboard.verification.verify import verify

# Checks that no metric changes, or that were made of what was claimed and secret then.
KEPT = frozenset(["signature", "metrics", "rerun", TWINS])


class Unclaimed(SubmissionFolder):
    """A submission without its claims about metrics.

    Metrics were claimed as they were computed then, and a metric that is computed in another way since does
    not make the claims false.
    """

    @cached_property
    def results(self) -> dict[str, Result]:
        return {name: result.model_copy(update={"metrics": {}}) for name, result in super().results.items()}


def rescored(
    submission: SubmissionFolder,
    protocol: Protocol,
    reference: Reference,
    before: Verification,
    reruns: Mapping[str, SubmittedAnswer] | None = None,
) -> Verification:
    """A new verification that keeps what does not depend on metrics from the old one.

    These are its rerun, what was claimed when it was submitted, and what was cleared.

    Args:
        submission: the submission of the entry.
        protocol: the protocol of its track.
        reference: the verifier's own observations and truths.
        before: the verification when it was accepted.
        reruns: the images of the rerun, if all observations were attacked again.
    """
    fresh = verify(Unclaimed(submission.path), protocol, reference)
    kept = {check.name: check for check in before.checks if check.name in KEPT}
    made = [kept.get(check.name, check) for check in fresh.checks]
    cleared = {check.name for check in before.checks if check.verdict is Verdict.CLEARED}
    changes: dict[str, Any] = {
        "rerun": before.rerun,
        "seed": before.seed,
        "files": before.files,
        "owner": before.owner,
        "accepted": before.accepted,
    }
    if before.reranked and fresh.scores:
        judged = {
            name: judge(answer, name, before.scores[name], reference)
            for name, answer in (reruns or {}).items()
        }
        made.append(check_closeness(judged, "rerun_closeness"))
        if TWINS in kept:
            made.append(kept[TWINS])
        # Of the earlier answers the numbers alone were kept.
        scores = {
            name: one.score.model_copy(update={"moments": before.scores[name].moments})
            for name, one in judged.items()
        }
        changes |= {"scores": scores, "claims": fresh.scores}
    return fresh.model_copy(update={**changes, "checks": made}).cleared(cleared)
