"""Weights from a local folder, or from a Hugging Face repository when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from gifd_bench.priors.errors import PriorError


@dataclass(frozen=True)
class Source:
    """Where a prior's files are.

    Attributes:
        folder: a local folder; comes first.
        repository: on the Hugging Face hub, as owner/name.
        revision: the commit to take from it, so that the weights cannot change unnoticed.
        download: fetch what is not in the local cache; nothing is fetched otherwise.
    """

    folder: Path | None = None
    repository: str | None = None
    revision: str | None = None
    download: bool = False

    def file(self, *names: str) -> Path:
        """The first of these files that is there; in a folder its name may have something before it, such
        as `biggan-deep-256-`.

        Raises:
            PriorError: none is, or more than one; the message says what to put where.
        """
        wanted = " or ".join(names)
        if self.folder is not None:
            return _only(self.folder, names)
        if self.repository is None or self.revision is None:
            raise PriorError(f"no weights: give a folder with {wanted}, or a repository and a revision")
        for name in names:
            try:
                return Path(
                    hf_hub_download(
                        self.repository, name, revision=self.revision, local_files_only=not self.download
                    )
                )
            except (LocalEntryNotFoundError, HfHubHTTPError, OSError):
                continue
        hint = (
            "could not be fetched" if self.download else "not in the local cache (download: true fetches)"
        )
        raise PriorError(f"{self.repository} at {self.revision}: {wanted} {hint}")


def _only(folder: Path, names: tuple[str, ...]) -> Path:
    """The one file in a folder whose name ends with one of these; the first name that has any wins."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for name in names:
        found = [file for file in files if file.name.endswith(name) and file.is_file()]
        if len(found) > 1:
            raise PriorError(f"{folder}: holds {len(found)} files named *{name}; one is expected")
        if found:
            return found[0]
    raise PriorError(f"{folder}: holds no {' or '.join(names)}")
