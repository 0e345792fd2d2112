"""Weights from a local folder, or from a Hugging Face repository when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from priors.errors import PriorError


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
        """The first of these files that is there.

        Raises:
            PriorError: none is; the message says what to put where.
        """
        wanted = " or ".join(names)
        if self.folder is not None:
            found = next((self.folder / name for name in names if (self.folder / name).is_file()), None)
            if found is None:
                raise PriorError(f"{self.folder}: holds no {wanted}")
            return found
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
