"""`gifd-bench leaderboard accept`: add a verified submission to the entries."""

from __future__ import annotations

import argparse

from rich.console import Console

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.common.errors import UserError
from gifd_bench.leaderboard.commands.entries_option import add_entries_option, entries_to_add_to
from gifd_bench.leaderboard.commands.verify import EXIT, show
from gifd_bench.leaderboard.commands.verify_options import add_verify_options, reruns_kept, verified
from gifd_bench.leaderboard.entries import Entries
from gifd_bench.leaderboard.observation_set import Index
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.reference import observations_of
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.signature import signer
from gifd_bench.leaderboard.verification.report import Standing, Verification
from gifd_bench.leaderboard.verification.rerun_folder import rerun_folder


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard accept",
        description="Verify a submission, attack every observation again with its code in a sandbox, and "
        "add it to the entries, which are never changed afterwards. The rerun's images are shown and "
        "ranked; without a rerun an entry is self-reported, and has no rank. A rerun that was interrupted "
        "goes on.",
        allow_abbrev=False,
    )
    add_verify_options(command, rerun=None)
    add_entries_option(command)
    add_acceptance_options(command)
    command.add_argument(
        "--maintainer",
        action="store_true",
        help="you maintain this board, and this is a new version of a name that belongs to its maintainers",
    )
    return command


def add_acceptance_options(parser: argparse.ArgumentParser) -> None:
    """Add options for what a person states about the accepted submission."""
    parser.add_argument("--looked-at", action="store_true", help="a person looked at what is flagged")


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is that of `verify`."""
    options = parser().parse_args(arguments)
    entries = entries_to_add_to(options.entries)
    submission = SubmissionFolder(options.submission)
    console = Terminal()
    check_name(submission, entries, options.maintainer)
    protocol, verification = verified(submission, console, options, options.observations, options.truths)
    index = observations_of(protocol, options.observations).index
    return store(console, protocol, submission, verification, index, entries, options)


def check_name(submission: SubmissionFolder, entries: Entries, maintainer: bool) -> None:
    """Check the name, before hours of reruns are spent on a submission that nobody may add.

    Raises:
        LeaderboardError: the name belongs to somebody else.
    """
    try:
        submission.check_files()
        who = signer(submission, submission.checksums())
    except UserError:
        # The verification says what is wrong.
        return
    entries.check_name(submission.file.about.attack, who, maintainer)


def store(
    console: Console,
    protocol: Protocol,
    submission: SubmissionFolder,
    verification: Verification,
    index: Index,
    entries: Entries,
    options: argparse.Namespace,
) -> int:
    """Show what was found, and add a submission unless it was rejected or a person must look.

    Args:
        console: shows what was found.
        protocol: the track.
        submission: its files.
        verification: the verification of these files.
        index: the index of the attacked observations.
        entries: the entries to which it is added.
        options: the options of `add_acceptance_options`.

    Returns:
        The exit status.
    """
    show(console, protocol, verification)
    if verification.standing is Standing.REJECTED:
        return EXIT[verification.standing]
    if verification.standing is Standing.FLAGGED and not options.looked_at:
        console.print("a person must look at it; then give --looked-at", markup=False)
        return EXIT[verification.standing]
    if options.looked_at:
        verification = verification.cleared({check.name for check in verification.problems()})
    rerun = rerun_folder(reruns_kept(), verification.files, index) if verification.reranked else None
    entry = entries.add(submission, verification, rerun, options.maintainer)
    console.print(f"accepted: {entry.path}", markup=False, soft_wrap=True)
    return 0
