"""Scoring an entry again, from what was submitted."""

from __future__ import annotations

from functools import cached_property

from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.schema import Result
from gifd_bench.leaderboard.verification.report import Verdict, Verification
from gifd_bench.leaderboard.verification.verify import verify


class Unclaimed(SubmissionFolder):
    """A submission without its claims of metrics: they were made of the metrics as they were then, and a
    metric that is computed otherwise since does not make them false."""

    @cached_property
    def results(self) -> dict[str, Result]:
        return {name: result.model_copy(update={"metrics": {}}) for name, result in super().results.items()}


def rescored(
    submission: SubmissionFolder, protocol: Protocol, reference: Reference, before: Verification
) -> Verification:
    """A new verification with what no metric changes of the old one: its rerun, what was claimed when it
    was submitted, and what was cleared."""
    fresh = verify(Unclaimed(submission.path), protocol, reference)
    kept = {check.name: check for check in before.checks if check.name in ("metrics", "rerun")}
    checks = [kept.get(check.name, check) for check in fresh.checks]
    cleared = {check.name for check in before.checks if check.verdict is Verdict.CLEARED}
    return fresh.model_copy(update={"checks": checks, "rerun": before.rerun}).cleared(cleared)
