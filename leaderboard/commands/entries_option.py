"""`--entries`, which most commands of the leaderboard have."""

from __future__ import annotations

import argparse
from pathlib import Path

from gifd_bench.leaderboard.entries import Entries, bundled_entries
from gifd_bench.leaderboard.errors import LeaderboardError


def add_entries_option(parser: argparse.ArgumentParser) -> None:
    """`--entries`."""
    parser.add_argument(
        "--entries", type=Path, help="folder of the accepted entries (default: those of the checkout)"
    )


def entries_to_read(path: Path | None) -> Entries:
    """The entries that a command line asks for.

    Raises:
        LeaderboardError: there is no such folder, or none was given and there is no checkout.
    """
    if path is not None and not path.is_dir():
        raise LeaderboardError(f"{path}: no such folder of entries; give one with --entries")
    return entries_to_add_to(path)


def entries_to_add_to(path: Path | None) -> Entries:
    """The same, where the folder may still have to be made.

    Raises:
        LeaderboardError: no folder was given and there is no checkout.
    """
    return Entries(bundled_entries() if path is None else path)
