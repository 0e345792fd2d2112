"""`gifd-bench leaderboard rescore`: score every entry again, from its images."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from gifd_bench.leaderboard.entries import Entries, bundled_entries
from gifd_bench.leaderboard.protocol import find_protocol
from gifd_bench.leaderboard.reference import reference_of
from gifd_bench.leaderboard.verification.rescore import rescored


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard rescore",
        description="Compute the scores of all entries again from their images, after a change of the "
        "metrics. What was submitted stays as it is, and so do the reruns.",
        allow_abbrev=False,
    )
    command.add_argument("protocol", help="see `gifd-bench leaderboard protocols`")
    command.add_argument("--entries", type=Path, default=bundled_entries(), help="folder of the entries")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    protocol = find_protocol(options.protocol)
    reference = reference_of(protocol, None, None)
    console = Console()
    for entry in Entries(options.entries).of(protocol.key):
        entry.keep(rescored(entry.submission, protocol, reference, entry.verification))
        console.print(f"{entry.key}: {entry.verification.standing.value}", markup=False)
    return 0
