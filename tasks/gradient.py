"""The one computation that client and attacker share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def loss_gradient(
    model: nn.Module, inputs: Tensor, labels: Tensor, create_graph: bool = False
) -> tuple[Tensor, ...]:
    """Gradient of the mean cross-entropy in the model's parameters, in their own order.

    Args:
        model: the victim.
        inputs: (B, 3, H, W), normalised.
        labels: (B,) int64.
        create_graph: keep the graph, so that the gradient can itself be differentiated.
    """
    loss = F.cross_entropy(model(inputs), labels)
    return torch.autograd.grad(loss, list(model.parameters()), create_graph=create_graph)
