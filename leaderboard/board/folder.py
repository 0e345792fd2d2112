"""The folder into which a board is written."""

from __future__ import annotations

import re
from pathlib import Path

from gifd_bench.common.files import make_folder, write_text, written_whole
from gifd_bench.leaderboard.errors import LeaderboardError

MARKER = ".gifd-bench-board"
ATTACKS = "attacks"
ASSETS = "assets"
IMAGES = "images"
# What boards are made of. Nothing else in the folder is ever touched: a host may want files of its own.
OWN = re.compile(
    r"[a-z0-9_-]+-v[0-9]+\.(html|json)|attacks/[a-z0-9_-]+\.(html|json)|images/[0-9]+-[0-9a-f]{24}\.png"
)


class BoardFolder:
    """Writes the files of one build, and removes files of earlier builds that are not needed any more.

    Raises:
        LeaderboardError: the folder holds something that is not a board.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise LeaderboardError(f"{path}: is a file; choose a folder with --output")
        if path.is_dir() and any(path.iterdir()) and not is_board(path):
            raise LeaderboardError(
                f"{path}: is in use, and not by a board; choose another folder with --output"
            )
        for name in (ATTACKS, ASSETS, IMAGES):
            make_folder(path / name)
        write_text(
            path / MARKER, "The files beside this one are written by `gifd-bench leaderboard build`.\n"
        )
        self.path = path
        self._kept: set[str] = set()

    def write(self, name: str, text: str) -> None:
        """Write a text file, unless it exists with the same content."""
        self.keep(name)
        path, content = self.path / name, text.encode()
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
            return
        with written_whole(path) as partial:
            partial.write_bytes(content)

    def keep(self, name: str) -> None:
        """Note that a file belongs to this build."""
        self._kept.add(name)

    def remove_stale(self) -> None:
        """Remove the files of earlier builds."""
        for folder in (".", ATTACKS, IMAGES):
            for path in (self.path / folder).iterdir():
                name = path.relative_to(self.path).as_posix()
                if OWN.fullmatch(name) and name not in self._kept and path.is_file():
                    path.unlink()


def is_board(path: Path) -> bool:
    """Whether a board was written into a folder."""
    return (path / MARKER).is_file()
