"""The linear layer that gives a classifier's logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gifd_bench.tasks.errors import TaskError


@dataclass(frozen=True)
class OutputLayer:
    """The linear layer that gives the logits, with C classes, F features, and N images that were passed.

    Attributes:
        name: the name of its weight among the model's parameters.
        weight: (C, F).
        bias: (C,); `None` if it has none.
        features: (N, F), the inputs of the layer.
    """

    name: str
    weight: Tensor
    bias: Tensor | None
    features: Tensor


@torch.no_grad()
def output_layer(model: nn.Module, inputs: Tensor) -> OutputLayer:
    """Find the layer by running a model.

    Args:
        model: the model, which gets hooks that stay; give a copy.
        inputs: (N, C, H, W), normalized.

    Raises:
        TaskError: there is no such layer.
    """
    name, features = representation(model, inputs)
    parameters = {each: parameter.detach() for each, parameter in model.named_parameters()}
    return OutputLayer(name, parameters[name], parameters.get(bias_of(name)), features)


def bias_of(weight: str) -> str:
    """The name of the bias that belongs to the weight of this name, if the layer has one."""
    return f"{weight.removesuffix('weight')}bias"


def representation(model: nn.Module, inputs: Tensor) -> tuple[str, Tensor]:
    """The input of the last linear layer that runs and has one output for each class.

    Args:
        model: the model, which gets hooks that stay; give a copy.
        inputs: (B, 3, H, W), normalized.

    Returns:
        The name of the layer's weight (classes, features) among the model's parameters, and its input (B,
        features), differentiable in `inputs`.

    Raises:
        TaskError: there is no such layer, or its input is not one vector for each image.
    """
    entered: list[tuple[nn.Linear, Tensor]] = []
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_pre_hook(lambda layer, args: entered.append((layer, args[0])))
    classes = model(inputs).shape[-1]
    final = [(layer, features) for layer, features in entered if layer.out_features == classes]
    if not final:
        raise TaskError(f"this model has no linear layer with an output for each of its {classes} classes")
    layer, features = final[-1]
    if features.ndim != 2 or len(features) != len(inputs):
        raise TaskError(
            f"the input of this model's last linear layer has shape {tuple(features.shape)}, "
            "which is not one vector for each image"
        )
    for name, parameter in model.named_parameters():
        if parameter is layer.weight:
            return name, features
    raise TaskError("the weight of this model's last linear layer is not a parameter of its own")


def last_matrix(update: Sequence[Tensor]) -> int:
    """Where the weight of the last linear layer is in an update: the last tensor with two dimensions.

    Args:
        update: tensors in the model's order.

    Raises:
        TaskError: there is none.
    """
    for index in reversed(range(len(update))):
        if update[index].ndim == 2:
            return index
    raise TaskError("this update is of a model without a linear layer")
