"""`gifd-bench leaderboard preview`: verify proposed submissions and build the board with them."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.common.errors import UserError
from gifd_bench.common.files import write_text
from gifd_bench.leaderboard.board.bundled import build_board
from gifd_bench.leaderboard.commands.accept import check_name
from gifd_bench.leaderboard.commands.entries_option import add_entries_option, entries_to_add_to
from gifd_bench.leaderboard.commands.verify import EXIT, show
from gifd_bench.leaderboard.commands.verify_options import add_rerun_options, reruns_kept, verified
from gifd_bench.leaderboard.entries import Entries
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.reference import observations_of
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.text import shown
from gifd_bench.leaderboard.verification.report import Standing, Verification
from gifd_bench.leaderboard.verification.rerun_folder import rerun_folder

UNVERIFIABLE = 2


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard preview",
        description="Verify every submission in a folder, and build the board as it would be with those "
        "that are not rejected. The entries themselves stay as they are.",
        allow_abbrev=False,
    )
    command.add_argument("submissions", type=Path, help="folder with a folder for each submission")
    add_entries_option(command)
    command.add_argument("--output", type=Path, required=True, help="folder of the board, not there yet")
    add_rerun_options(command)
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is the worst of `verify` over the submissions."""
    options = parser().parse_args(arguments)
    if options.output.exists():
        raise LeaderboardError(f"{options.output}: is there already; choose another --output")
    accepted = entries_to_add_to(options.entries).path
    console = Terminal()
    statuses, lines = [0], []
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "entries"
        if accepted.is_dir():
            shutil.copytree(accepted, copy)
        entries = Entries(copy)
        for folder in _submissions(options.submissions):
            status, line = _propose(SubmissionFolder(folder), options, entries, console)
            statuses.append(status)
            lines.append(f"    {shown(folder.name)}: {line}")
        build_board(entries, options.output)
    # Indented: whatever a submission is called, it is shown as text.
    write_text(options.output / "summary.md", "Submissions:\n\n" + "\n".join(lines or ["    none"]) + "\n")
    console.print(f"{options.output / 'index.html'}", markup=False, soft_wrap=True)
    return max(statuses)


def _propose(
    submission: SubmissionFolder, options: argparse.Namespace, entries: Entries, console: Console
) -> tuple[int, str]:
    """The exit status that one submission alone would have, and a line about it."""
    console.rule(ascii(submission.path.name))
    try:
        check_name(submission, entries, maintainer=False)
        protocol, verification = verified(submission, console, options)
        show(console, protocol, verification)
        if verification.standing is not Standing.REJECTED:
            index = observations_of(protocol, None).index
            rerun = (
                rerun_folder(reruns_kept(), verification.files, index) if verification.reranked else None
            )
            entries.add(submission, verification, rerun)
    except UserError as error:
        console.print(str(error), markup=False)
        return UNVERIFIABLE, f"cannot be accepted: {error}"
    return EXIT[verification.standing], _line(verification)


def _line(verification: Verification) -> str:
    problems = "; ".join(f"{check.name}: {check.detail}" for check in verification.problems())
    return f"{verification.standing.value}{': ' if problems else ''}{problems}"


def _submissions(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise LeaderboardError(f"{folder}: a folder of submissions is expected")
    for path in sorted(folder.iterdir()):
        if path.name != "README.md":
            yield path
