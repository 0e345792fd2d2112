"""The masks of dropout, as far as the update shows them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd


def use_masks_that_show(
    victim: nn.Module, update: Mapping[str, Tensor], shape: tuple[int, int, int]
) -> None:
    """Let the dropout layers of a victim drop the same entries as at the client.

    The gradient of a linear layer's weight for a single image is an outer product with the layer's input.
    Its columns are zero where dropout has dropped an entry. (They are also zero where the entry was zero
    before, which makes no difference.) A dropout layer directly before a linear layer therefore keeps no
    secret.

    Args:
        victim: the model, in evaluation mode; its dropout layers get hooks.
        update: the gradient of one image, by parameter.
        shape: (C, H, W) of an image.
    """
    for name, layer in _followed(victim, shape).items():
        weight = update.get(f"{layer}.weight" if layer else "weight")
        if weight is None:
            continue
        kept = (weight != 0).any(dim=0)
        dropout = victim.get_submodule(name)
        assert isinstance(dropout, _DropoutNd)
        if bool(kept.any()) and dropout.p < 1:
            dropout.register_forward_hook(partial(_masked, kept.float() / (1 - dropout.p)))


def _masked(mask: Tensor, _module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
    return output * mask.to(output.device)


def _followed(victim: nn.Module, shape: tuple[int, int, int]) -> dict[str, str]:
    """The linear layer that directly follows each dropout layer, by their names."""
    tried = copy.deepcopy(victim).cpu()
    left: dict[int, tuple[str, Tensor]] = {}
    found: dict[str, str] = {}

    def leave(name: str, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        left[id(output)] = (name, output)

    def enter(name: str, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs and id(inputs[0]) in left and inputs[0].ndim == 2:
            found[left[id(inputs[0])][0]] = name

    for name, module in tried.named_modules():
        if isinstance(module, _DropoutNd) and module.p > 0:
            # In training mode its output is a tensor of its own.
            module.train()
            module.register_forward_hook(partial(leave, name))
        elif isinstance(module, nn.Linear):
            module.register_forward_pre_hook(partial(enter, name))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        tried(torch.zeros(1, *shape))
    return found
