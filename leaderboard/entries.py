"""Accepted entries: folders that are added, and never changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from gifd_bench.common.errors import StorageError, one_line
from gifd_bench.common.files import make_folder
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.names import check_name
from gifd_bench.leaderboard.observation_set import Index, checksum
from gifd_bench.leaderboard.ownership import check_owner
from gifd_bench.leaderboard.plain_copy import copy_plain
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.reconstruction import SubmittedAnswer, read_answer
from gifd_bench.leaderboard.submission.schema import About
from gifd_bench.leaderboard.verification.report import (
    Standing,
    Verification,
    read_verification,
    write_verification,
)
from gifd_bench.leaderboard.verification.rerun_folder import RerunFolder

# Folder of the rerun's images in an entry.
RERUN = "rerun"


@dataclass(frozen=True)
class Entry:
    """An accepted submission, with the verification by which it was accepted."""

    path: Path

    @cached_property
    def submission(self) -> SubmissionFolder:
        """The submission's files, as they were submitted."""
        return SubmissionFolder(self.path / "submission")

    @property
    def about(self) -> About:
        """What its authors say about it."""
        return self.submission.file.about

    @property
    def verification_file(self) -> Path:
        """The file of what was found."""
        return self.path / "verification.json"

    @cached_property
    def verification(self) -> Verification:
        """What was found."""
        return read_verification(self.verification_file)

    def keep(self, verification: Verification) -> None:
        """Replace the old verification by a new one; what was submitted stays."""
        write_verification(self.verification_file, verification)
        self.__dict__["verification"] = verification

    @property
    def date(self) -> str:
        """The day of the acceptance; for old entries, which do not record it, the day that they name."""
        return self.verification.accepted or self.about.date

    @property
    def key(self) -> str:
        """Attack, version and date, as in the names of its folders."""
        return f"{self.about.attack}/{self.about.version}_{self.date}"

    @property
    def answered(self) -> list[str]:
        """The observations whose images are shown and ranked."""
        return sorted(self.verification.scores if self.verification.reranked else self.submission.results)

    def images_file(self, name: str) -> Path:
        """The file of the images that are shown and ranked: the rerun's, or else the submitted ones."""
        if self.verification.reranked:
            return self.path / RERUN / f"{name}.safetensors"
        return self.submission.reconstruction(name)

    def answer(self, name: str, images: int, size: int) -> SubmittedAnswer:
        """The images of an observation that are shown and ranked.

        Args:
            name: the name of the observation.
            images: the expected number of images.
            size: the expected side of the images in pixels.

        Raises:
            LeaderboardError: they have changed since the entry was accepted.
        """
        if not self.verification.reranked:
            return self.submission.answer(name, images, size)
        path = self.images_file(name)
        if path.is_symlink() or not path.is_file():
            raise LeaderboardError(f"{path}: a file is expected, and there is none")
        if checksum(path) != self.verification.files.get(f"{RERUN}/{path.name}"):
            raise LeaderboardError(f"{path}: is not what it was when the entry was accepted")
        return read_answer(path, images, size)

    def reruns(self, index: Index) -> dict[str, SubmittedAnswer]:
        """The rerun's images, by observation; none if not all were attacked again."""
        if not self.verification.reranked:
            return {}
        items = {name: index.observations[name] for name in self.verification.scores}
        return {name: self.answer(name, item.images, item.size) for name, item in items.items()}


@dataclass(frozen=True)
class Entries:
    """A folder with PROTOCOL/ATTACK/VERSION_DATE/, such as `entries` beside this module in a checkout."""

    path: Path

    def of(self, protocol: str) -> Iterator[Entry]:
        """Entries of a protocol, in the order of their names."""
        for attack in _folders(self.path / protocol):
            yield from map(Entry, _folders(attack))

    def protocols(self) -> list[str]:
        """The keys of the protocols that have entries."""
        return [folder.name for folder in _folders(self.path)]

    def check_name(self, attack: str, signer: str | None, maintainer: bool) -> None:
        """Refuse a name that belongs to somebody else, or looks like another name.

        Args:
            attack: the name.
            signer: the public key of the signer, as in `check_owner`.
            maintainer: whether a maintainer accepts it, as in `check_owner`.

        Raises:
            LeaderboardError: the name is refused.
        """
        there = list(self.all())
        check_name(attack, {entry.about.attack for entry in there})
        owners = [entry.verification.owner for entry in there if entry.about.attack == attack]
        check_owner(attack, signer, owners, maintainer)

    def add(
        self,
        submission: SubmissionFolder,
        verification: Verification,
        rerun: RerunFolder | None = None,
        maintainer: bool = False,
    ) -> Entry:
        """Accept a submission today.

        Args:
            submission: its files, which are copied; what is copied must be what was verified.
            verification: the verification of these files.
            rerun: the images of the rerun, if all observations were attacked again.
            maintainer: whether it is a version of a name that belongs to the maintainers of this board, and
                one of them accepts it.

        Raises:
            LeaderboardError: it was rejected, has changed since it was verified, its name belongs to
                somebody else, or there is an entry of this attack and version.
            StorageError: it cannot be written.
        """
        standing = verification.standing
        if standing is Standing.REJECTED:
            worst = verification.problems()[0]
            raise LeaderboardError(f"{submission.path}: {worst.name} failed: {worst.detail}")
        about = submission.file.about
        self.check_name(about.attack, verification.owner, maintainer)
        parent = self.path / submission.file.protocol / about.attack
        for there in _folders(parent):
            if there.name.partition("_")[0] == about.version:
                raise LeaderboardError(
                    f"{there}: is there already; entries are not changed, give another version"
                )
        # The day is the board's own: a date in the future would supersede everything.
        today = datetime.now(timezone.utc).date().isoformat()
        folder = parent / f"{about.version}_{today}"
        partial = parent / f".{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        make_folder(partial / "submission" / "reconstructions")
        try:
            for file, digest in verification.files.items():
                copy_plain(submission.path / file, partial / "submission" / file, digest)
            files = dict(verification.files)
            if verification.reranked and rerun is not None:
                make_folder(partial / RERUN)
                for name in verification.scores:
                    file = f"{RERUN}/{name}.safetensors"
                    files[file] = copy_plain(rerun.images(name), partial / file)
            write_verification(
                partial / "verification.json",
                verification.model_copy(update={"files": files, "accepted": today}),
            )
            # The folder gets its name only when it is whole.
            partial.rename(folder)
        except OSError as error:
            raise StorageError(f"{folder}: cannot be written ({one_line(error)})") from error
        except LeaderboardError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return Entry(folder)

    def all(self) -> Iterator[Entry]:
        """The entries of all protocols."""
        for protocol in self.protocols():
            yield from self.of(protocol)


@dataclass(frozen=True)
class EntriesTogether:
    """Several folders of entries, to be read as one.

    Attributes:
        folders: the folders; if an entry is in several of them, the first one is used.
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
    """Folders by name, without hidden ones, which an acceptance that was killed has left."""
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
