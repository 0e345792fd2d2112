"""Reading a submission, which anybody may have written.

Nothing in it is trusted, and nothing of it runs.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.observation_set import checksum
from gifd_bench.leaderboard.submission.reconstruction import MOST_BYTES as MOST_IMAGE_BYTES
from gifd_bench.leaderboard.submission.reconstruction import SubmittedAnswer, read_answer
from gifd_bench.leaderboard.submission.schema import SOURCE, Result, ResultsFile, SubmissionFile
from gifd_bench.leaderboard.submission.yaml_file import parse_yaml
from gifd_bench.leaderboard.text import first_error, shown, unprintable

MOST_YAML_BYTES = 1 << 18
MOST_SOURCE_BYTES = 1 << 20
MOST_RESULTS_BYTES = 16 << 20
MOST_FILES = 10_010
MOST_SIGNATURE_BYTES = 1 << 12
SIGNATURE = "signature.json"


@dataclass(frozen=True)
class SubmissionFolder:
    """The files of a submission.

    `submission.yaml` says what it is, `results.json` says what is claimed, and
    `reconstructions/NAME.safetensors` is the answer to each observation. Optionally, `attack.py` is the
    attack, for reruns, and `signature.json` says to whom it belongs.
    """

    path: Path

    @property
    def source(self) -> Path:
        """The attack's own file, which may not be there."""
        return self.path / SOURCE

    def files(self) -> list[Path]:
        """All files that belong to it, relative to its folder."""
        own = [
            Path("submission.yaml"),
            Path("results.json"),
            *(Path(name) for name in (SOURCE, SIGNATURE) if (self.path / name).exists()),
        ]
        return own + [self.reconstruction(name).relative_to(self.path) for name in self.results]

    def checksums(self) -> dict[str, str]:
        """SHA-256 of each of its files, by the path in its folder."""
        return {file.as_posix(): checksum(self.path / file) for file in self.files()}

    def reconstruction(self, name: str) -> Path:
        """The file of an observation's reconstruction."""
        return self.path / "reconstructions" / f"{name}.safetensors"

    @cached_property
    def file(self) -> SubmissionFile:
        """The content of `submission.yaml`.

        Raises:
            LeaderboardError: something in it is wrong.
        """
        if unprintable(self.path.name) is not None:
            # The name is part of every message.
            raise LeaderboardError(f"{_shown(self.path.name)}: a folder's name must be printable")
        _check_kind(self.path, stat.S_ISDIR, "a submission's folder")
        path = self.path / "submission.yaml"
        try:
            found = SubmissionFile.model_validate(parse_yaml(self._text(path, MOST_YAML_BYTES), str(path)))
        except ValidationError as error:
            raise LeaderboardError(f"{path}: {first_error(error)}") from error
        own_file = found.rerun is not None and found.rerun.attack.use.startswith(SOURCE)
        if own_file != self.source.is_file():
            raise LeaderboardError(
                f"{path}: rerun.attack names a class of {SOURCE} just where that file is there"
            )
        return found

    @cached_property
    def results(self) -> dict[str, Result]:
        """The content of `results.json`.

        Raises:
            LeaderboardError: something in it is wrong.
        """
        path = self.path / "results.json"
        text = self._text(path, MOST_RESULTS_BYTES)
        try:
            return ResultsFile.model_validate(json.loads(text, object_pairs_hook=_mapping)).results
        except ValidationError as error:
            raise LeaderboardError(f"{path}: {first_error(error)}") from error
        except ValueError as error:
            raise LeaderboardError(f"{path}: not JSON ({shown(error, 200)})") from error
        except RecursionError as error:
            raise LeaderboardError(f"{path}: nested too deeply") from error

    def check_files(self) -> None:
        """Check that the files that belong there exist, and no others.

        Raises:
            LeaderboardError: there is a link, a special file, an additional file, or a missing one.
        """
        _check_kind(self.path, stat.S_ISDIR, "a submission's folder")
        wanted = {"submission.yaml", "results.json", "reconstructions"}
        found = self._names(self.path)
        odd = sorted(found - wanted - {SOURCE, SIGNATURE})
        if odd:
            raise LeaderboardError(f"{self.path}: {_shown(odd[0])} does not belong into a submission")
        missing = sorted(wanted - found)
        if missing:
            raise LeaderboardError(f"{self.path}: there is no {missing[0]} in it")
        if SOURCE in found:
            _check_kind(self.source, stat.S_ISREG, "a file")
            self._text(self.source, MOST_SOURCE_BYTES)
        if SIGNATURE in found:
            self.signature_bytes()
        _check_kind(self.path / "reconstructions", stat.S_ISDIR, "a folder")
        files = {f"{name}.safetensors" for name in self.results}
        there = self._names(self.path / "reconstructions")
        for name in sorted(there ^ files):
            where = "is not in results.json" if name in there else "is missing"
            raise LeaderboardError(f"{self.path}: reconstructions/{_shown(name)} {where}")
        for name in sorted(self.results):
            self._check_reconstruction(name)

    def signature_bytes(self) -> bytes:
        """The content of `signature.json`.

        Raises:
            LeaderboardError: it is no such file.
        """
        return self._text(self.path / SIGNATURE, MOST_SIGNATURE_BYTES).encode()

    def answer(self, name: str, images: int, size: int) -> SubmittedAnswer:
        """The reconstruction of an observation.

        Args:
            name: the name of the observation.
            images: the expected number of images.
            size: the expected side of the images in pixels.

        Raises:
            LeaderboardError: it is not such a reconstruction.
        """
        self._check_reconstruction(name)
        return read_answer(self.reconstruction(name), images, size)

    def _check_reconstruction(self, name: str) -> None:
        path = self.reconstruction(name)
        _check_kind(path, stat.S_ISREG, "a file")
        _check_size(path, MOST_IMAGE_BYTES)

    def _names(self, folder: Path) -> set[str]:
        names: set[str] = set()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    names.add(entry.name)
                    if len(names) > MOST_FILES:
                        raise LeaderboardError(f"{folder}: more than {MOST_FILES} files")
        except OSError as error:
            raise LeaderboardError(f"{folder}: cannot be read ({shown(error)})") from error
        return names

    def _text(self, path: Path, most: int) -> str:
        _check_kind(path, stat.S_ISREG, "a file")
        _check_size(path, most)
        try:
            return path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LeaderboardError(f"{path}: not a readable text file ({shown(error)})") from error


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping without repeated keys, of whose values readers would disagree which one is meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _check_kind(path: Path, is_kind: Any, kind: str) -> None:
    """Check, before a file is opened, that it is a file here, and not a link, a pipe or a device."""
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError) as error:
        raise LeaderboardError(f"{path}: {kind} is expected, and there is none") from error
    if not is_kind(mode):
        raise LeaderboardError(f"{path}: {kind} is expected, not a link or anything else")


def _check_size(path: Path, most: int) -> None:
    size = path.stat().st_size
    if size > most:
        raise LeaderboardError(f"{path}: {size} bytes; at most {most} are read")


def _shown(name: str) -> str:
    """A file name that a stranger chose, made safe to print."""
    return ascii(name)[:80]
