"""`gifd-bench leaderboard sign`: sign a submission."""

from __future__ import annotations

import argparse
from pathlib import Path

from gifd_bench.common.terminal import write
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.signature import read_key, sign


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard sign",
        description="Sign a submission as it is now. A file that is changed afterwards makes the signature "
        "worthless; then sign again.",
        allow_abbrev=False,
    )
    command.add_argument("submission", type=Path, help="its folder")
    command.add_argument("--key", type=Path, required=True, help="file that `key` made")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    public = sign(SubmissionFolder(options.submission), read_key(options.key))
    write(f"signed by {public}: {options.submission}")
    return 0
