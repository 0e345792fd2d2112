"""`gifd-bench leaderboard export`: write the observations of a protocol."""

from __future__ import annotations

import argparse
from pathlib import Path

from gifd_bench.common.terminal import write
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.export import export
from gifd_bench.leaderboard.protocol import find_protocol


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard export",
        description="Write what the server sees of every round of a protocol, with checksums. The images "
        "are not in it.",
        allow_abbrev=False,
    )
    command.add_argument("protocol", help="see `gifd-bench leaderboard protocols`, or a YAML file")
    command.add_argument("--output", type=Path, required=True, help="folder that is not there yet")
    command.add_argument("--truths", type=Path, help="also write the private images, for their keeper")
    command.add_argument(
        "--blind",
        type=int,
        metavar="SECRET",
        help="draw other images by this secret number, which only the keeper knows; needs --truths",
    )
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    if options.blind is not None and options.truths is None:
        raise LeaderboardError("--blind needs --truths: nobody else could score the answers")
    made = export(find_protocol(options.protocol), options.output, options.truths, options.blind)
    write(f"{len(made.index.observations)} observations: {made.path}")
    return 0
