"""The content of the file of a reconstruction besides the answer."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError


def read_curve(path: Path) -> Tensor:
    """The matching loss of every iterate, restart after restart: (iterations,).

    Raises:
        BenchmarkError: the file is missing, damaged, or of another version.
    """
    (curve,) = _read(path, "curve")
    return curve


def read_stages(path: Path, count: int) -> Tensor:
    """What each of the stages had found at its end: (B, stages, 3, H, W) in [0, 1].

    Raises:
        BenchmarkError: the file is missing, damaged, or of another version.
    """
    return torch.stack(_read(path, *(f"stage/{k:02d}" for k in range(count))), dim=1)


def _read(path: Path, *names: str) -> list[Tensor]:
    """Read some tensors of a file, and no byte of the others."""
    try:
        with safe_open(path, framework="pt") as file:
            return [file.get_tensor(name) for name in names]
    except (SafetensorError, OSError) as error:
        raise BenchmarkError(f"{path}: damaged, or of another version ({error})") from error
