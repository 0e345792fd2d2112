"""A victim's weights from a file of the user."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.errors import TaskError


def load_state(model: nn.Module, path: Path) -> None:
    """Load a state dict into a model, in place.

    Raises:
        TaskError: there is no such file, it is not a safetensors file, or it does not hold this model's
            weights.
    """
    if not path.is_file():
        raise TaskError(f"{path}: no such weights file (safetensors, the model's state dict)")
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise TaskError(f"{path}: not a readable safetensors file ({error})") from error
    except RuntimeError as error:
        detail = one_line(error)
        raise TaskError(f"{path}: not this model's weights ({detail})") from error
