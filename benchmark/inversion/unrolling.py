"""The steps of a client's optimizer, as functions that can be differentiated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gifd_bench.tasks.client import FedAvg

Tensors = tuple[Tensor, ...]


class Unrolled:
    """An optimizer of PyTorch with the client's settings, from its first step on.

    Args:
        local: the settings.
    """

    def __init__(self, local: FedAvg) -> None:
        self._local = local
        self._steps = 0
        self._velocity: Tensors = ()
        self._moments: tuple[Tensors, Tensors] = ((), ())

    def step(self, parameters: Tensors, gradients: Sequence[Tensor]) -> Tensors:
        """The parameters after one more step."""
        local = self._local
        self._steps += 1
        if local.weight_decay and local.optimizer != "adamw":
            gradients = [g + local.weight_decay * p for g, p in zip(gradients, parameters, strict=True)]
        if local.optimizer == "sgd":
            directions = self._with_momentum(tuple(gradients))
        else:
            directions = self._adam(tuple(gradients))
        rate = local.learning_rate
        if local.weight_decay and local.optimizer == "adamw":
            parameters = tuple(p * (1 - rate * local.weight_decay) for p in parameters)
        return tuple(p - rate * d for p, d in zip(parameters, directions, strict=True))

    def _with_momentum(self, gradients: Tensors) -> Tensors:
        momentum = self._local.momentum
        if not momentum:
            return gradients
        if self._velocity:
            pairs = zip(self._velocity, gradients, strict=True)
            self._velocity = tuple(momentum * v + g for v, g in pairs)
        else:
            self._velocity = gradients
        if not self._local.nesterov:
            return self._velocity
        return tuple(g + momentum * v for g, v in zip(gradients, self._velocity, strict=True))

    def _adam(self, gradients: Tensors) -> Tensors:
        first, second = self._local.betas
        means, squares = self._moments
        if not means:
            means = squares = tuple(torch.zeros_like(g) for g in gradients)
        means = tuple(first * m + (1 - first) * g for m, g in zip(means, gradients, strict=True))
        squares = tuple(
            second * s + (1 - second) * g.square() for s, g in zip(squares, gradients, strict=True)
        )
        self._moments = (means, squares)
        unbiased = 1 - first**self._steps, 1 - second**self._steps
        # Where no gradient has come yet, a root has no slope.
        tiny = torch.finfo(gradients[0].dtype).tiny
        return tuple(
            m / unbiased[0] / ((s / unbiased[1]).clamp(min=tiny).sqrt() + self._local.epsilon)
            for m, s in zip(means, squares, strict=True)
        )
