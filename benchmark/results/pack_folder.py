"""What several cells of a run share while they are one inversion."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from gifd_bench.benchmark.results.record import STRICT, read_record, write_record
from gifd_bench.common.errors import FileError
from gifd_bench.common.files import make_folder
from gifd_bench.common.hashing import digest


@dataclass(frozen=True)
class Members:
    """The cells of a pack.

    Attributes:
        cells: their ids, in the order of their lanes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    cells: tuple[str, ...]


@dataclass(frozen=True)
class PackFolder:
    """Checkpoint and members of a pack that has begun; it is removed when all of its cells have ended."""

    path: Path

    @classmethod
    def of(cls, packs: Path, cells: Sequence[str]) -> PackFolder:
        """The folder of these cells, among the packs of a run."""
        return cls(packs / digest({str(lane): cell for lane, cell in enumerate(cells)}))

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of the inversion."""
        return self.path / "checkpoint.ckpt"

    def begin(self, cells: Sequence[str]) -> None:
        """Make the folder, and record its members."""
        make_folder(self.path)
        write_record(Members(tuple(cells)), self._members)

    def members(self) -> tuple[str, ...]:
        """The ids of the cells; none if they cannot be read."""
        try:
            return read_record(Members, self._members).cells
        except FileError:
            return ()

    def remove(self) -> None:
        """Remove the folder, which is not needed any more."""
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def _members(self) -> Path:
        return self.path / "pack.json"


def packs_in(packs: Path) -> list[PackFolder]:
    """All packs that have begun, in a fixed order."""
    return [PackFolder(path) for path in sorted(packs.iterdir())] if packs.is_dir() else []
