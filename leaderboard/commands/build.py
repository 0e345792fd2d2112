"""`gifd-bench leaderboard build`: the static site of the board."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gifd_bench.leaderboard.board.bundled import build_board
from gifd_bench.leaderboard.entries import Entries, bundled_entries
from gifd_bench.leaderboard.errors import LeaderboardError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard build",
        description="Write the board as pages that need no server and no network, and print the path of "
        "the first one. Private images are shown beside the answers where the dataset is at hand.",
        allow_abbrev=False,
    )
    command.add_argument(
        "--output", type=Path, default=Path("board"), help="a folder of its own (default: board)"
    )
    add_entries_option(command)
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    sys.stdout.write(f"{build_board(entries_at(options.entries), options.output)}\n")
    return 0


def add_entries_option(parser: argparse.ArgumentParser) -> None:
    """`--entries`."""
    parser.add_argument(
        "--entries",
        type=Path,
        default=None,
        help="folder of accepted entries (default: those that come with this package)",
    )


def entries_at(path: Path | None) -> Entries:
    """The entries that a command line asks for.

    Raises:
        LeaderboardError: there is no such folder.
    """
    if path is None:
        # Not there until the first entry is accepted.
        return Entries(bundled_entries())
    if not path.is_dir():
        raise LeaderboardError(f"{path}: no such folder of entries; give one with --entries")
    return Entries(path)
