"""A model of one's own."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from torch import nn

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.errors import TaskError


def custom(
    num_classes: int, image_size: int, path: str, arguments: dict[str, Any] | None = None
) -> nn.Module:
    """Your own torch.nn.Module, by import path.

    It takes normalised images (B, 3, S, S) and gives logits (B, num_classes); its random weights come from
    torch's global generator.

    Args:
        num_classes: given to the class if it has a parameter of this name.
        image_size: likewise.
        path: of a class, or of a function that makes a module: `package.module:Class`.
        arguments: of the class, by name; they go before the two above.
    """
    factory = _imported(path)
    try:
        takes = inspect.signature(factory).parameters
        given = {"num_classes": num_classes, "image_size": image_size}
        inputs = {name: value for name, value in given.items() if name in takes} | (arguments or {})
        model = factory(**inputs)
    except Exception as error:  # It is somebody else's code.
        raise TaskError(f"model 'custom': {path} cannot be built: {_one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise TaskError(f"model 'custom': {path} makes a {type(model).__name__}, not a torch.nn.Module")
    return model


def _imported(path: str) -> Any:
    module, _, name = str(path).partition(":")
    if not module or not name.isidentifier():
        raise TaskError(f"model 'custom': path is written 'package.module:Class', not '{path}'")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        hint = f"no module '{error.name}'; is it installed, or on PYTHONPATH?"
        raise TaskError(f"model 'custom': {path}: {hint}") from error
    except AttributeError as error:
        raise TaskError(f"model 'custom': {module} has no '{name}'") from error
    except Exception as error:  # Somebody else's code, again.
        raise TaskError(f"model 'custom': {path} cannot be imported: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"
