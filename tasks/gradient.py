"""The one computation that client and attacker share."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel


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
    # The fused attention of transformers has no second derivative on the CPU.
    with sdpa_kernel(SDPBackend.MATH) if create_graph else nullcontext():
        loss = F.cross_entropy(model(inputs), labels)
    return torch.autograd.grad(loss, list(model.parameters()), create_graph=create_graph)
