"""`gifd-bench leaderboard build`: the static site of the board."""

from __future__ import annotations

import argparse
from pathlib import Path

from gifd_bench.common.terminal import write
from gifd_bench.leaderboard.board.bundled import build_board
from gifd_bench.leaderboard.commands.entries_option import (
    add_alone_option,
    add_entries_option,
    entries_to_show,
)


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
    add_alone_option(command)
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    write(str(build_board(entries_to_show(options.entries, options.alone), options.output)))
    return 0
