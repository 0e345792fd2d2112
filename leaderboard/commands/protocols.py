"""`gifd-bench leaderboard protocols`: list the protocols."""

from __future__ import annotations

import argparse

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.common.tables import Column, FittedTable
from gifd_bench.leaderboard.protocol import find_protocol, protocol_keys


def parser() -> argparse.ArgumentParser:
    """The command line."""
    return argparse.ArgumentParser(
        prog="gifd-bench leaderboard protocols", description="List the protocols.", allow_abbrev=False
    )


def run(arguments: list[str]) -> int:
    """Run the command."""
    parser().parse_args(arguments)
    headings = ("protocol", "observations", "images", "gradient evaluations", "metrics", "title")
    table = FittedTable([Column(heading, optional=heading == "metrics") for heading in headings])
    for key in protocol_keys():
        protocol = find_protocol(key)
        file = protocol.file
        table.add_row(
            key,
            str(len(protocol.rounds)),
            str(protocol.images),
            f"{file.budget.gradient_evaluations:,}",
            ", ".join(file.metrics),
            file.title,
        )
    Terminal().print(table)
    return 0
