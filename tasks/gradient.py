"""The one computation that client and attacker share: the gradient of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.tasks.losses import LossFunction
from gifd_bench.tasks.models.second_derivatives import twice_differentiable


def trainable(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that are not frozen, by name, in the model's order."""
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def loss_gradient(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    create_graph: bool = False,
    loss: LossFunction = F.cross_entropy,
) -> tuple[Tensor, ...]:
    """The gradient of the loss in the model's parameters that are not frozen, in their order.

    Args:
        model: the victim.
        inputs: (B, C, H, W), normalized.
        labels: (B,) int64, or whatever else the loss takes.
        create_graph: whether to keep the graph, so that the gradient can itself be differentiated.
        loss: a function of logits and labels; by default the mean cross-entropy.

    Returns:
        One tensor for each parameter; zero if the loss does not depend on the parameter.
    """
    with twice_differentiable() if create_graph else nullcontext():
        value = loss(model(inputs), labels)
    parameters = [parameter for _, parameter in trainable(model)]
    found = torch.autograd.grad(value, parameters, create_graph=create_graph, allow_unused=True)
    return tuple(
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    )
