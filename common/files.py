"""Writing files that are complete or absent, and reading them with one clear error.

Commands that must start quickly import this module, so torch is imported only by the functions that need
it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from gifd_bench.common.errors import AccessError, FileError, MissingError, StorageError, one_line

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Write a file under the given temporary name; it then appears complete under its own name.

    Raises:
        StorageError: it cannot be written; an older file of this name is still there.
    """
    # Another machine on the same disk may write the same file, with the same process id.
    partial = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        # Libraries that write to a temporary file of their own make it for one user alone.
        partial.chmod(mode)
        with partial.open("rb") as file:
            # Renamed before its content is on the disk, a file can be empty after a power cut.
            os.fsync(file.fileno())
        partial.replace(path)
    # torch.save raises RuntimeError where the disk is full.
    except (OSError, RuntimeError, SafetensorError) as error:
        raise StorageError(f"{path}: cannot be written ({one_line(error)})") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if they do not exist yet.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: cannot be made ({one_line(error)})") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, completely or not at all."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON (without NaN), completely or not at all."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        AccessError: this user may not read the file.
        FileError: the file does not exist, or is not JSON.
    """
    return parse_json(path, read_bytes(path))


def parse_json(path: Path, content: bytes) -> Any:
    """The JSON value in what was read from a file.

    Raises:
        FileError: it is not JSON.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: not a readable JSON file ({one_line(error)})") from error


def read_bytes(path: Path) -> bytes:
    """Read all of a file.

    Raises:
        AccessError: this user may not read the file.
        FileError: it does not exist, or the disk cannot read it.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise not_read(path, error) from error


def not_read(path: Path, error: OSError) -> FileError:
    """Why a file could not be read; a file that is missing or belongs to somebody else is not damaged."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return MissingError(f"{path}: no such file")
    if isinstance(error, PermissionError):
        return AccessError(f"{path}: this user may not read it (permission denied)")
    return FileError(f"{path}: cannot be read ({error.strerror or one_line(error)})")


def own_copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies without a graph that share no storage; safetensors refuses tensors that do."""
    return {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file, completely or not at all.

    Args:
        path: a path in an existing folder.
        tensors: the tensors by name; they may share storage.
        metadata: texts that are kept beside them.

    Raises:
        StorageError: it cannot be written; an older file of this name is still there.
        FileError: the format does not hold tensors of this kind.
    """
    from safetensors.torch import save

    try:
        content = own_copies(tensors)
        # Apart from the writing: a tensor that cannot be kept is no fault of the disk.
        packed = save(content, metadata=dict(metadata) if metadata is not None else None)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        detail = one_line(error)
        raise FileError(f"{path}: these tensors cannot be written as safetensors ({detail})") from error
    with written_whole(path) as partial:
        partial.write_bytes(packed)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file.

    Raises:
        AccessError: this user may not read the file.
        FileError: the file does not exist, or is damaged.
    """
    return read_tensors_and_metadata(path)[0]


def read_tensors_and_metadata(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors, and the texts beside them.

    Raises:
        AccessError: this user may not read the file.
        FileError: the file does not exist, or is damaged.
    """
    from safetensors import safe_open

    _can_be_read(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise FileError(f"{path}: not a readable safetensors file ({one_line(error)})") from error


def check_tensors(path: Path) -> None:
    """Check that a file is a complete safetensors file, without reading its tensors or importing torch.

    Raises:
        AccessError: this user may not read the file.
        FileError: the file does not exist, or is damaged.
    """
    from safetensors import safe_open

    _can_be_read(path)
    try:
        with safe_open(path, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise FileError(f"{path}: not a readable safetensors file ({one_line(error)})") from error


def _can_be_read(path: Path) -> None:
    """Raise the right error for a file that may not be read; safetensors reports such a file as missing."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise not_read(path, error) from error
