"""`gifd-bench leaderboard verify`: check a submission and score it."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.leaderboard.commands.verify_options import add_verify_options, verified
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.verification.report import Standing, Verdict, Verification, write_verification

EXIT = {Standing.VERIFIED: 0, Standing.SELF_REPORTED: 0, Standing.REJECTED: 1, Standing.FLAGGED: 3}
COLORS = {
    Verdict.PASSED: "green",
    Verdict.NOTED: "yellow",
    Verdict.FLAGGED: "yellow",
    Verdict.CLEARED: "green",
    Verdict.FAILED: "red",
    Verdict.SKIPPED: "dim",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard verify",
        description="Check a submission, compute every metric again from its images, and say what is odd. "
        "Nothing of it runs, unless --rerun asks for it, and then in a sandbox.",
        epilog="exit status: 0 in order, 1 rejected, 2 it could not be verified, 3 a person must look",
        allow_abbrev=False,
    )
    add_verify_options(command)
    command.add_argument("--json", type=Path, help="also write what was found to this file")
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 for a rejected submission, and 3 if a person must look."""
    options = parser().parse_args(arguments)
    submission = SubmissionFolder(options.submission)
    console = Terminal()
    protocol, verification = verified(submission, console, options, options.observations, options.truths)
    show(console, protocol, verification)
    if options.json is not None:
        write_verification(options.json, verification)
    return EXIT[verification.standing]


def show(console: Console, protocol: Protocol, verification: Verification) -> None:
    """Print what was found."""
    checks = Table("check", "", Column("what was found", overflow="fold"))
    for check in verification.checks:
        color = COLORS[check.verdict]
        checks.add_row(check.name, f"[{color}]{check.verdict.value}[/]", Text(check.detail))
    console.print(checks)
    for metric in protocol.file.metrics if verification.scores else ():
        values = [value for one in verification.scores.values() for value in one.metrics[metric] or ()]
        if values:
            console.print(f"{metric}: {sum(values) / len(values):.4g}, mean of {len(values)} images")
    standing = verification.standing.value + ("" if verification.complete else ", incomplete")
    console.print(f"{protocol.key}: {standing}", markup=False)
