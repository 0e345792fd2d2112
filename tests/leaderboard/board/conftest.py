"""A small board, which its tests share, and a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifd_bench.leaderboard.board.site import write_board
from gifd_bench.leaderboard.protocol import Protocol, read_protocol
from tests.browser import browser
from tests.leaderboard.board.helpers import small_board, truths_of, write_protocol

__all__ = ["browser"]


@pytest.fixture(scope="module")
def protocol(tmp_path_factory: pytest.TempPathFactory) -> Protocol:
    return read_protocol(write_protocol(tmp_path_factory.mktemp("protocol")))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory, protocol: Protocol) -> Path:
    folder = tmp_path_factory.mktemp("site")
    entries = small_board(folder / "entries", protocol)
    return write_board(entries, [protocol], folder / "board", truths_of).parent
