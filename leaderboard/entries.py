"""Accepted entries: folders that are added, and never changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gifd_bench.common.errors import StorageError, one_line
from gifd_bench.common.files import make_folder
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.schema import About
from gifd_bench.leaderboard.verification.report import (
    Standing,
    Verification,
    read_verification,
    write_verification,
)


@dataclass(frozen=True)
class Entry:
    """An accepted submission, with the verification that it was accepted by."""

    path: Path

    @cached_property
    def submission(self) -> SubmissionFolder:
        """The submission's files, as they were submitted."""
        return SubmissionFolder(self.path / "submission")

    @property
    def about(self) -> About:
        """What its authors say of it."""
        return self.submission.file.about

    @property
    def verification_file(self) -> Path:
        """What was found."""
        return self.path / "verification.json"

    @cached_property
    def verification(self) -> Verification:
        """What was found."""
        return read_verification(self.verification_file)

    def keep(self, verification: Verification) -> None:
        """Replace what was found by what is found now; what was submitted stays."""
        write_verification(self.verification_file, verification)
        self.__dict__["verification"] = verification

    @property
    def key(self) -> str:
        """Attack, version and date, as its folders are called."""
        about = self.about
        return f"{about.attack}/{about.version}_{about.date}"


@dataclass(frozen=True)
class Entries:
    """A folder with PROTOCOL/ATTACK/VERSION_DATE/, such as `entries` beside this module in a checkout."""

    path: Path

    def of(self, protocol: str) -> Iterator[Entry]:
        """Entries of a protocol, in the order of their names."""
        for attack in _folders(self.path / protocol):
            yield from map(Entry, _folders(attack))

    def protocols(self) -> list[str]:
        """Keys of the protocols that have entries."""
        return [folder.name for folder in _folders(self.path)]

    def add(self, submission: SubmissionFolder, verification: Verification) -> Entry:
        """Accept a submission.

        Raises:
            LeaderboardError: it was rejected, or there is an entry of this attack, version and date.
            StorageError: it cannot be written.
        """
        standing = verification.standing
        if standing is Standing.REJECTED:
            worst = verification.problems()[0]
            raise LeaderboardError(f"{submission.path}: {worst.name} failed: {worst.detail}")
        about = submission.file.about
        parent = self.path / submission.file.protocol / about.attack
        folder = parent / f"{about.version}_{about.date}"
        if folder.exists():
            raise LeaderboardError(
                f"{folder}: is there already; entries are not changed, give another version"
            )
        partial = parent / f".{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        make_folder(partial / "submission" / "reconstructions")
        try:
            for file in submission.files():
                # Its content alone: a stranger's permissions are not kept.
                shutil.copyfile(
                    submission.path / file, partial / "submission" / file, follow_symlinks=False
                )
            write_verification(partial / "verification.json", verification)
            # Renamed when it is whole.
            partial.rename(folder)
        except OSError as error:
            raise StorageError(f"{folder}: cannot be written ({one_line(error)})") from error
        return Entry(folder)


@dataclass(frozen=True)
class EntriesTogether:
    """Several folders of entries as one to look at.

    Attributes:
        folders: of an entry that is in several, the first one's is taken.
    """

    folders: tuple[Entries, ...]

    def of(self, protocol: str) -> Iterator[Entry]:
        """Entries of a protocol, folder by folder."""
        found: dict[str, Entry] = {}
        for folder in self.folders:
            for entry in folder.of(protocol):
                found.setdefault(f"{entry.path.parent.name}/{entry.path.name}", entry)
        yield from found.values()

    def protocols(self) -> list[str]:
        """Keys of the protocols that have entries."""
        return list(dict.fromkeys(key for folder in self.folders for key in folder.protocols()))


def _folders(path: Path) -> list[Path]:
    """By name; hidden is what an acceptance that was killed has left."""
    return sorted(inner for inner in path.glob("*") if inner.is_dir() and not inner.name.startswith("."))


def bundled_entries() -> Path:
    """The folder of the entries in the checkout that this package is imported from.

    An editable install links to the files of the checkout, and the links are followed.

    Raises:
        LeaderboardError: there is none, because the package was installed without its checkout.
    """
    folder = Path(__file__).resolve().parent / "entries"
    if not folder.is_dir():
        raise LeaderboardError(
            "entries come with the checkout, not with the package: give --entries FOLDER"
        )
    return folder
