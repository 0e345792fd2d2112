"""Where the files of a prior are, and what can be known about them without reading their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gifd_bench.common.errors import one_line
from gifd_bench.priors.errors import PriorError


@dataclass(frozen=True)
class Source:
    """Weights in a local folder, or in a Hugging Face repository.

    Attributes:
        folder: a local folder, which takes precedence.
        repository: a repository on the Hugging Face hub, as owner/name.
        revision: the commit of the repository, so that the weights cannot change unnoticed.
        download: whether to download what is not in the local cache; otherwise nothing is downloaded.
    """

    folder: Path | None = None
    repository: str | None = None
    revision: str | None = None
    download: bool = False

    def file(self, *names: str) -> Path:
        """The first of these files that exists.

        In a folder, its name may have a prefix, such as `biggan-deep-256-`.

        Raises:
            PriorError: none exists, or more than one; the message says which file to put where.
        """
        wanted = " or ".join(names)
        if self.folder is not None:
            return _only(self.folder, names)
        if self.repository is None or self.revision is None:
            raise PriorError(f"no weights: give a folder with {wanted}, or a repository and a revision")
        # Imported here, because the package takes a while and most priors do without it.
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

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

    def absent(self, *wanted: tuple[str, ...]) -> list[str]:
        """What is missing, one line for each file.

        Args:
            wanted: the names that each file may have.
        """
        found = []
        for names in wanted:
            try:
                self.file(*names)
            except PriorError as error:
                found.append(str(error))
        return found


def absent_file(weights: Path | str | None) -> list[str]:
    """What is missing if the weights are one file of the user's: nothing, or one line."""
    if weights is None:
        return ["no weights: give a file with the generator's state dict"]
    return [] if Path(weights).is_file() else [f"{weights}: no such weights file"]


def are_fetched(arguments: Mapping[str, Any]) -> bool:
    """Whether these arguments of a prior ask for a download of files that are not here."""
    asked = arguments["download"] and arguments["repository"] and arguments["revision"]
    return bool(asked) and arguments["weights"] is None


@dataclass(frozen=True)
class Header:
    """The header of a safetensors file, which comes before its tensors.

    Attributes:
        shapes: the shapes of the tensors by name.
        metadata: texts that are kept beside them.
    """

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Read the header of a safetensors file.

    Raises:
        PriorError: there is no such file, or it is damaged.
    """
    must_exist(path)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            return Header(shapes, file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise PriorError(f"{path}: damaged weights file ({one_line(error)})") from error


def must_exist(path: Path) -> None:
    """Raise a PriorError if there is no such file."""
    if not path.is_file():
        raise PriorError(f"{path}: no such weights file")


def _only(folder: Path, names: tuple[str, ...]) -> Path:
    """The one file in a folder whose name ends with one of these; earlier names take precedence."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for name in names:
        found = [file for file in files if file.name.endswith(name) and file.is_file()]
        if len(found) > 1:
            raise PriorError(f"{folder}: holds {len(found)} files named *{name}; one is expected")
        if found:
            return found[0]
    raise PriorError(f"{folder}: holds no {' or '.join(names)}")
