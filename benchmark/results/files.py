"""Writing files that are whole or absent, and reading them with one clear error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmark.errors import BenchmarkError


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it."""
    partial = _partial(path)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write JSON (no NaN) under a temporary name, then rename it."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        BenchmarkError: not there, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{path}: not a readable JSON file ({error})") from error


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write safetensors under a temporary name, then rename it."""
    partial = _partial(path)
    # Copies, because safetensors refuses tensors that share storage.
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, partial)
    partial.replace(path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read safetensors.

    Raises:
        BenchmarkError: not there, or damaged.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BenchmarkError(f"{path}: not a readable safetensors file ({error})") from error


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}.partial")
