"""Accepted entries: folders that are added, and never changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.results.files import make_folder
from leaderboard.errors import LeaderboardError
from leaderboard.submission.folder import SubmissionFolder
from leaderboard.submission.schema import About
from leaderboard.verification.report import (
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
    """A folder with PROTOCOL/ATTACK/VERSION_DATE/, such as the `entries` of this package."""

    path: Path

    def of(self, protocol: str) -> Iterator[Entry]:
        """Entries of a protocol, in the order of their names."""
        for folder in sorted((self.path / protocol).glob("*/*/")):
            # Hidden is what an acceptance that was killed has left.
            if not folder.name.startswith("."):
                yield Entry(folder)

    def protocols(self) -> list[str]:
        """Keys of the protocols that have entries."""
        return sorted(folder.name for folder in self.path.glob("*/") if folder.is_dir())

    def add(self, submission: SubmissionFolder, verification: Verification) -> Entry:
        """Accept a submission.

        Raises:
            LeaderboardError: it was rejected or flagged, or there is an entry of this attack, version and
            date.
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
        make_folder(partial)
        shutil.copytree(submission.path, partial / "submission", symlinks=True)
        write_verification(partial / "verification.json", verification)
        # Renamed when it is whole.
        partial.rename(folder)
        return Entry(folder)


def bundled_entries() -> Path:
    """The folder of the entries that come with this package."""
    return Path(__file__).parent / "entries"
