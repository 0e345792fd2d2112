"""A user's model as the victim of an observation: unwrapped, copied and tried out."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.batch_norm import batch_norm_layers
from gifd_bench.tasks.capture.tensors import WRAPPERS
from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.outputs import only_logits


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside the wrappers of Opacus, DataParallel, torch.compile and the like."""
    while True:
        children = dict(model.named_children())
        inner = [child for name, child in children.items() if name in WRAPPERS]
        if len(children) != 1 or not inner or next(model.parameters(recurse=False), None) is not None:
            return model
        model = inner[0]


def own_copy(model: nn.Module) -> nn.Module:
    """A copy in single precision on the CPU, in evaluation mode, without hooks and gradients of a training.

    Raises:
        TaskError: it cannot be copied.
    """
    # A LightningModule knows its Trainer, which knows the data.
    trainer = getattr(model, "_trainer", None)
    memo: dict[int, Any] = {} if trainer is None else {id(trainer): None}
    try:
        copied: nn.Module = copy.deepcopy(model, memo)
    except Exception as error:  # Anybody's model.
        raise TaskError(
            f"the model cannot be copied ({type(error).__name__}: {one_line(error)}); give a spec, "
            "ModelSpec('my_net.py:Net', ...), that says how to build it"
        ) from error
    for module in copied.modules():
        _without_hooks_of(module, "opacus")
    for parameter in copied.parameters():
        parameter.grad = None
    copied = copied.to("cpu", torch.float32).to(memory_format=torch.contiguous_format)
    copied.register_forward_hook(only_logits)
    return copied.eval()


def _without_hooks_of(module: nn.Module, package: str) -> None:
    """Remove the hooks by which a package follows a model's training."""
    for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        hooks = getattr(module, kind, {})
        for key, hook in list(hooks.items()):
            function = getattr(hook, "func", hook)
            if str(getattr(function, "__module__", "")).partition(".")[0] == package:
                del hooks[key]


def classes_for(model: nn.Module, shape: tuple[int, int, int], name: str) -> int:
    """The number of logits that a model in evaluation mode gives for an image.

    Raises:
        TaskError: the model does not accept such an image, or gives no logits for it.
    """
    channels, height, width = shape
    said = f"an image of {height}x{width}" + ("" if channels == 3 else f" with {channels} channels")
    try:
        with torch.no_grad():
            logits = model(torch.zeros(1, *shape))
    except Exception as error:  # It is somebody else's model.
        detail = f"{type(error).__name__}: {one_line(error)[:200]}"
        raise TaskError(f"model '{name}' gives no logits for {said} ({detail})") from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 1:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise TaskError(f"model '{name}' gives no logits (1, classes) for {said}, but {found}")
    return int(logits.shape[1])


def first_channels(model: nn.Module) -> int | None:
    """The number of channels that the model's first convolution takes; `None` without a convolution."""
    convolutions = (module for module in model.modules() if isinstance(module, nn.Conv2d))
    first = next(convolutions, None)
    return None if first is None else first.in_channels


def mode_of(model: nn.Module, shape: tuple[int, int, int], client: ClientSettings | None) -> ClientSettings:
    """The client's settings; a mode that they do not state is the mode in which the model is.

    Args:
        model: the user's own model, which stays as it is.
        shape: (C, H, W) of an image that the model takes.
        client: what the user states; `None` for one gradient.

    Raises:
        TaskError: what the user states contradicts the mode of the model.
    """
    batch_norm, dropout = _trains_batch_norm(model), _draws(model, shape)
    if client is None:
        return ClientSettings(
            batch_norm="train" if batch_norm else "eval", dropout="train" if dropout else "eval"
        )
    if batch_norm and client.batch_norm == "eval":
        raise TaskError(
            "the model's BatchNorm layers are in training mode, where they use the batch's statistics, and "
            "client.batch_norm is 'eval': say client=ClientSettings(batch_norm='train', ...), or call "
            "model.eval() if the update was computed in evaluation mode"
        )
    if dropout and client.dropout == "eval":
        raise TaskError(
            "the model is in training mode, in which it draws at random (dropout or stochastic depth), and "
            "client.dropout is 'eval': say client=ClientSettings(dropout='train', ...), or call "
            "model.eval() if the update was computed in evaluation mode"
        )
    return client


def _trains_batch_norm(model: nn.Module) -> bool:
    modes = {layer.training for _, layer in batch_norm_layers(model) if layer.running_mean is not None}
    if len(modes) == 2:
        raise TaskError(
            "some of the model's BatchNorm layers are in training mode and others are not, which a "
            "client's settings cannot say: bring all of them into one mode"
        )
    return modes == {True}


def _draws(model: nn.Module, shape: tuple[int, int, int]) -> bool:
    """Whether the model, in its present mode, gives other logits when it sees the same images again."""
    if not any(module.training for module in model.modules()):
        return False
    try:
        tried = copy.deepcopy(model, {id(getattr(model, "_trainer", None)): None})
        tried = tried.to("cpu", torch.float32)
        for module in tried.modules():
            _without_hooks_of(module, "opacus")
            if isinstance(module, _BatchNorm):
                module.eval()
        inputs = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
        tried.register_forward_hook(only_logits)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            logits = []
            for seed in range(3):
                torch.manual_seed(seed)
                logits.append(tried(inputs))
    except Exception:  # What it does in training mode is not asked for elsewhere.
        return False
    return not all(torch.equal(logits[0], other) for other in logits[1:])
