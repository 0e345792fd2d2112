"""The gradient of each single example of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from gifd_bench.tasks.defenses.base import PrivateBatch
from gifd_bench.tasks.defenses.norm import clip_factor
from gifd_bench.tasks.gradient import loss_gradient, trainable

# Examples whose gradients are held at once.
CHUNK = 8


def clipped_sum(batch: PrivateBatch, bound: float) -> list[Tensor]:
    """The sum of the gradients of the examples, each scaled down to `bound` if its l2 norm is larger."""
    total = [torch.zeros_like(parameter) for _, parameter in trainable(batch.model)]
    for inputs, labels in zip(
        torch.split(batch.inputs, CHUNK), torch.split(batch.labels, CHUNK), strict=True
    ):
        gradients = per_example_gradients(PrivateBatch(batch.model, inputs, labels, batch.loss))
        norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
        factors = clip_factor(torch.linalg.vector_norm(norms, dim=0), bound)
        for its_total, g in zip(total, gradients, strict=True):
            its_total += torch.tensordot(factors, g, dims=1)
    return total


def per_example_gradients(batch: PrivateBatch) -> tuple[Tensor, ...]:
    """The gradient of each example.

    They are computed all at once by `vmap`. A model that `vmap` cannot handle, because it branches on
    values or has operations without a batching rule, is run for one example after another.

    Returns:
        One (B, ...) tensor for each parameter that is not frozen, in the model's order.
    """
    parameters = {name: parameter.detach() for name, parameter in trainable(batch.model)}
    loss_of = batch.loss.function()

    def loss(weights: dict[str, Tensor], example: Tensor, label: Tensor) -> Tensor:
        value: Tensor = loss_of(functional_call(batch.model, weights, (example[None],)), label[None])
        return value

    try:
        every = vmap(grad(loss), in_dims=(None, 0, 0), randomness="different")
        return tuple(every(parameters, batch.inputs, batch.labels).values())
    except RuntimeError:
        pairs = zip(torch.split(batch.inputs, 1), torch.split(batch.labels, 1), strict=True)
        one_by_one = [loss_gradient(batch.model, example, label, loss=loss_of) for example, label in pairs]
        return tuple(torch.stack(gradients) for gradients in zip(*one_by_one, strict=True))
