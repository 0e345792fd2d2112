"""Tensors from the files that frameworks write."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gifd_bench.common.errors import FileError, one_line
from gifd_bench.common.files import read_tensors
from gifd_bench.tasks.errors import TaskError

# What checkpoints call the state dict in them.
_STATE_DICTS = ("state_dict", "model_state_dict", "model", "weights")
_ARCHIVE_NAME = "arr_"


def read_file(path: Path) -> Any:
    """What a file holds: tensors or arrays by name, or in order. Nothing in it is executed.

    Raises:
        TaskError: there is no such file, it is damaged, or it is of another kind.
    """
    if not path.is_file():
        raise TaskError(f"{path}: no such file (.pt, .npz or .safetensors of tensors by name)")
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        try:
            return read_tensors(path)
        except FileError as error:
            raise TaskError(str(error)) from error
    if suffix in (".npz", ".npy"):
        return _numpy(path)
    if suffix in (".pt", ".pth", ".ckpt", ".bin"):
        return _torch(path)
    raise TaskError(f"{path}: a .pt, .npz or .safetensors file is expected, not one called '{path.suffix}'")


def _numpy(path: Path) -> Any:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TaskError(f"{path}: not a readable NumPy file of numbers ({one_line(error)})") from error
    if all(name.startswith(_ARCHIVE_NAME) for name in arrays):
        # `np.savez(path, *arrays)`, whose names are numbers.
        return [arrays[f"{_ARCHIVE_NAME}{number}"] for number in range(len(arrays))]
    return arrays


def _torch(path: Path) -> Any:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise TaskError(
            f"{path}: not a file of tensors alone, as torch.save writes a state dict "
            f"({one_line(error)[:200]})"
        ) from error
    if isinstance(content, Mapping):
        for name in _STATE_DICTS:
            if isinstance(content.get(name), Mapping):
                return content[name]
    return content
