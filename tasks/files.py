"""Writing files that are whole or absent."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from tasks.errors import TaskError, one_line


def save_whole(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], path: Path) -> None:
    """Write a safetensors file; it appears whole or not at all.

    Args:
        tensors: contiguous, no two of them sharing storage.
        metadata: beside them.
        path: in a folder that is there.

    Raises:
        TaskError: it cannot be written; what was there before is there still.
    """
    # Another machine on the same disk may write the same file, with the same process id.
    partial = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.partial")
    try:
        save_file(dict(tensors), partial, metadata=dict(metadata))
        with partial.open("rb") as file:
            # Renamed before its content is on the disk, a file can be empty after a power cut.
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise TaskError(f"{path}: cannot be written ({one_line(error)})") from error
