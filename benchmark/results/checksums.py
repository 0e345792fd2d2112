"""Checksums of a run folder: the SHA-256 of files, and JSON files that hold their own.

They detect damage of every kind, and manual edits. Somebody who wants to lie can make a new checksum.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from gifd_bench.common.errors import FileError
from gifd_bench.common.files import not_read, parse_json, read_bytes, write_text

# The entry of a JSON file that holds the SHA-256 of the whole file, with zeros in its own place.
SEAL = "checksum"
_BLANK = "0" * 64
_CHUNK = 1 << 20
# Nanoseconds. A file that was changed so lately may change again without another time of change.
_LATELY = 2_000_000_000


@dataclass(frozen=True)
class FileSum:
    """A file at the time when it was written.

    Attributes:
        sha256: the SHA-256 of its bytes, in hexadecimal digits.
        size: in bytes.
        mtime_ns: time of its last change, in nanoseconds since the epoch.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    sha256: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileSum:
        """The checksum of a file as it is now."""
        size, mtime_ns = _stamp(path)
        return cls(checksum(path), size, mtime_ns)

    def check(self, path: Path) -> None:
        """Check that a file has not changed; a file of the same size and time is not read.

        Raises:
            AccessError: this user may not read it.
            FileError: it is missing or damaged.
        """
        if _stamp(path) != (self.size, self.mtime_ns):
            check_file(path, self.sha256)


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits; an unchanged file is not read again.

    Raises:
        AccessError: this user may not read it.
        FileError: it does not exist, or the disk cannot read it.
    """
    stamp = _stamp(path)
    known = _KNOWN.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    digest = sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise not_read(path, error) from error
    if time.time_ns() - stamp[1] > _LATELY:
        _KNOWN[path] = stamp, digest.hexdigest()
    return digest.hexdigest()


_KNOWN: dict[Path, tuple[tuple[int, int], str]] = {}


def check_file(path: Path, expected: str) -> None:
    """Check that a file is the one that a record names.

    Args:
        path: the path of the file.
        expected: its SHA-256.

    Raises:
        AccessError: this user may not read it.
        FileError: it is missing or damaged.
    """
    if checksum(path) != expected:
        raise FileError(f"{path}: damaged, or another file (its SHA-256 is not the recorded one)")


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object whose last entry is the checksum of the file, completely or not at all."""
    text = json.dumps({**content, SEAL: _BLANK}, indent=1, allow_nan=False) + "\n"
    before, _, after = text.rpartition(_BLANK)
    write_text(path, before + sha256(text.encode()).hexdigest() + after)


def read_sealed(path: Path, required: bool) -> dict[str, Any]:
    """Read a JSON object, and check every byte of it.

    Args:
        path: the path of the file.
        required: whether it must have a checksum; files of older versions have none.

    Returns:
        The object without its checksum.

    Raises:
        AccessError: this user may not read it.
        FileError: it is missing or damaged.
    """
    data = read_bytes(path)
    content = parse_json(path, data)
    if not isinstance(content, dict):
        raise FileError(f"{path}: damaged (it holds no JSON object)")
    seal = content.pop(SEAL, None)
    if seal is None and not required:
        return content
    if not (isinstance(seal, str) and re.fullmatch("[0-9a-f]{64}", seal)):
        raise FileError(f"{path}: damaged (it has no checksum)")
    before, _, after = data.rpartition(seal.encode())
    if sha256(before + _BLANK.encode() + after).hexdigest() != seal:
        raise FileError(f"{path}: damaged, or edited (its content is not that of its checksum)")
    return content


def _stamp(path: Path) -> tuple[int, int]:
    """The size, and the time of the last change."""
    try:
        found = path.stat()
    except OSError as error:
        raise not_read(path, error) from error
    return found.st_size, found.st_mtime_ns
