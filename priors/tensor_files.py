"""Reading somebody's weights: only tensors, with errors that name the file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gifd_bench.common.errors import AccessError, FileError, MissingError, one_line
from gifd_bench.common.files import read_tensors_and_metadata
from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.weight_files import must_exist


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        PriorError: there is no such file, or it is damaged.
    """
    must_exist(path)
    try:
        return read_tensors_and_metadata(path)
    except (AccessError, MissingError) as error:
        raise PriorError(str(error)) from error
    except FileError as error:
        raise PriorError(f"{path}: damaged weights file ({one_line(error.__cause__ or error)})") from error


def read_checkpoint(path: Path) -> Any:
    """The content of a file that `torch.save` wrote; a pickle that holds code is refused, and does not run.

    Raises:
        PriorError: there is no such file, it is damaged, or it holds more than tensors and plain values.
    """
    must_exist(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise PriorError(f"{path}: holds more than tensors, or is damaged; it was not loaded") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        detail = one_line(error)[:200]
        raise PriorError(f"{path}: damaged weights file ({detail})") from error


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """A state dict from a `.safetensors` file, or from one that `torch.save` wrote.

    Raises:
        PriorError: the file is missing or damaged, holds code, or its content is not a state dict.
    """
    if path.suffix == ".safetensors":
        return read_safetensors(path)[0]
    return _state_dict(path, read_checkpoint(path))


def read_generator(path: Path, *keys: str) -> dict[str, Tensor]:
    """A state dict, or the one under the first of several keys that a training checkpoint has.

    Args:
        path: a `.safetensors` file, or one that `torch.save` wrote.
        keys: keys under which a training checkpoint may hold the generator.

    Raises:
        PriorError: the file is missing or damaged, holds code, or its content is not a state dict.
    """
    if path.suffix == ".safetensors":
        return read_safetensors(path)[0]
    content = read_checkpoint(path)
    if isinstance(content, dict):
        content = next((content[key] for key in keys if key in content), content)
    return _state_dict(path, content)


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    if not isinstance(content, dict) or not all(isinstance(t, Tensor) for t in content.values()):
        raise PriorError(f"{path}: a state dict is expected (names and tensors)")
    return content


def check_tensors(path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Check that names and shapes of tensors are as wanted.

    Raises:
        PriorError: the message names the first difference, in the order of the names.
    """
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise PriorError(f"{path}: tensor '{name}' is missing")
        if name not in wanted:
            raise PriorError(f"{path}: tensor '{name}' is unexpected")
        if wanted[name].shape != found[name].shape:
            shapes = f"{tuple(found[name].shape)}, not {tuple(wanted[name].shape)}"
            raise PriorError(f"{path}: tensor '{name}' has shape {shapes}")
