"""`gifd-bench leaderboard rescore`: score every entry again, from its images."""

from __future__ import annotations

import argparse

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.leaderboard.commands.entries_option import add_entries_option, entries_to_read
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
    add_entries_option(command)
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    entries = entries_to_read(options.entries)
    protocol = find_protocol(options.protocol)
    reference = reference_of(protocol, None, None)
    console = Terminal()
    for entry in entries.of(protocol.key):
        reruns = entry.reruns(reference.observations.index)
        entry.keep(rescored(entry.submission, protocol, reference, entry.verification, reruns))
        console.print(f"{entry.key}: {entry.verification.standing.value}", markup=False)
    return 0
