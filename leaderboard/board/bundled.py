"""The board of the bundled tracks."""

from __future__ import annotations

from pathlib import Path

from gifd_bench.leaderboard.board.site import write_board
from gifd_bench.leaderboard.entries import Entries, EntriesTogether
from gifd_bench.leaderboard.protocol import find_protocol, protocol_keys
from gifd_bench.leaderboard.reference import truths_at_hand


def build_board(entries: Entries | EntriesTogether, output: Path) -> Path:
    """Write the board of all bundled protocols, with the private images that are on this machine.

    Args:
        entries: what was accepted; none may be of any other protocol.
        output: a folder of its own.

    Returns:
        The path of the front page.

    Raises:
        LeaderboardError: an entry is damaged or of an unknown protocol, or the folder holds something that
            is not a board.
    """
    keys = dict.fromkeys([*protocol_keys(), *entries.protocols()])
    return write_board(entries, [find_protocol(key) for key in keys], output, truths_at_hand)
