"""`--entries`, which most commands of the leaderboard have."""

from __future__ import annotations

import argparse
from pathlib import Path

from gifd_bench.leaderboard.entries import Entries, EntriesTogether, bundled_entries
from gifd_bench.leaderboard.errors import LeaderboardError


def add_entries_option(parser: argparse.ArgumentParser) -> None:
    """Add the option `--entries`."""
    parser.add_argument(
        "--entries", type=Path, help="folder of the accepted entries (default: those of the checkout)"
    )


def add_alone_option(parser: argparse.ArgumentParser) -> None:
    """Add the option `--alone`."""
    parser.add_argument(
        "--alone", action="store_true", help="leave out the project's own entries, and show yours alone"
    )


def entries_to_read(path: Path | None) -> Entries:
    """The entries that a command line asks for.

    Raises:
        LeaderboardError: there is no such folder, or none was given and there is no checkout.
    """
    if path is not None and not path.is_dir():
        raise LeaderboardError(f"{path}: no such folder of entries; give one with --entries")
    return entries_to_add_to(path)


def entries_to_show(path: Path | None, alone: bool) -> Entries | EntriesTogether:
    """The entries of a board: those that a command line asks for, and the project's own beside them.

    Args:
        path: of the folder that was asked for.
        alone: whether to leave out the project's own, of which there are none without a checkout.

    Raises:
        LeaderboardError: there is no such folder, or none was given and there is no checkout.
    """
    asked = entries_to_read(path)
    if path is None or alone:
        return asked
    try:
        return EntriesTogether((asked, Entries(bundled_entries())))
    except LeaderboardError:
        return asked


def entries_to_add_to(path: Path | None) -> Entries:
    """The entries that a command line asks for, whose folder may still have to be made.

    Raises:
        LeaderboardError: no folder was given, and there is no checkout.
    """
    return Entries(bundled_entries() if path is None else path)
