"""Scoring an entry again, from what was submitted."""

from __future__ import annotations

from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.verification.report import Verdict, Verification
from gifd_bench.leaderboard.verification.verify import verify


def rescored(
    submission: SubmissionFolder, protocol: Protocol, reference: Reference, before: Verification
) -> Verification:
    """A new verification with what no metric changes of the old one: its rerun, and what was cleared."""
    fresh = verify(submission, protocol, reference)
    rerun = [check for check in before.checks if check.name == "rerun"]
    checks = [check for check in fresh.checks if check.name != "rerun"] + rerun
    cleared = {check.name for check in before.checks if check.verdict is Verdict.CLEARED}
    return fresh.model_copy(update={"checks": checks, "rerun": before.rerun}).cleared(cleared)
