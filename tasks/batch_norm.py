"""BatchNorm layers: their mode, and the statistics of their inputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class Moments:
    """The mean and variance of the inputs of one BatchNorm layer, for each channel.

    Attributes:
        mean: (C,).
        var: (C,), biased.
    """

    mean: Tensor
    var: Tensor


def batch_norm_layers(model: nn.Module) -> Iterator[tuple[str, _BatchNorm]]:
    """The BatchNorm layers of a model by name, in the order of its modules."""
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            yield name, module


def set_batch_norm_training(model: nn.Module, training: bool) -> None:
    """Let BatchNorm layers use the batch's statistics (training) or the running ones.

    The mode of all other modules stays as it is.
    """
    for _, layer in batch_norm_layers(model):
        layer.train(training)


def moments(activations: Tensor) -> Moments:
    """The moments of activations (B, C, ...) over all dimensions except the channels; differentiable."""
    others = [d for d in range(activations.ndim) if d != 1]
    return Moments(activations.mean(dim=others), activations.var(dim=others, unbiased=False))


def watch_moments(model: nn.Module, tell: Callable[[str, Moments], None]) -> None:
    """Call `tell` with the name and moments of every BatchNorm layer at each later forward pass."""
    for name, layer in batch_norm_layers(model):
        layer.register_forward_pre_hook(lambda _, inputs, name=name: tell(name, moments(inputs[0])))


def running_moments(weights: Mapping[str, Tensor]) -> dict[str, Moments]:
    """The running statistics in a state dict, by layer."""
    suffix = ".running_mean"
    layers = [name.removesuffix(suffix) for name in weights if name.endswith(suffix)]
    return {layer: Moments(weights[layer + suffix], weights[f"{layer}.running_var"]) for layer in layers}


@torch.no_grad()
def batch_moments(victim: nn.Module, inputs: Tensor, clients: int, training: bool) -> dict[str, Moments]:
    """Statistics of a private batch at the victim's weights, by layer.

    Args:
        victim: left as it is.
        inputs: (clients * B, 3, H, W), normalized.
        clients: each has a forward pass of its own; their moments are pooled.
        training: the mode of the BatchNorm layers.
    """
    model = copy.deepcopy(victim)
    set_batch_norm_training(model, training)
    seen: dict[str, list[Moments]] = {}
    watch_moments(model, lambda name, found: seen.setdefault(name, []).append(found))
    for chunk in inputs.chunk(clients):
        model(chunk)
    return {name: _pooled(found) for name, found in seen.items()}


def _pooled(many: list[Moments]) -> Moments:
    means, variances = (torch.stack([getattr(m, f) for m in many]) for f in ("mean", "var"))
    mean = means.mean(dim=0)
    return Moments(mean, (variances + means.square()).mean(dim=0) - mean.square())
