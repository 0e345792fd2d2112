"""The last linear layer: its part of the update, and its inputs and outputs for given images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.last_layer import bias_of
from gifd_bench.tasks.observation import Observation


@dataclass(frozen=True)
class LastLayer:
    """The layer that gives the logits, with C classes, F features, and N inputs for which it was run.

    Attributes:
        weight, bias: (C, F) and (C,), as they were sent out; the bias is `None` if the layer has none.
        weight_gradient, bias_gradient: the gradients of the mean loss, of the same shapes. They are finite:
            what diverged in local training is 0.
        features: (N, F), the inputs of the layer.
    """

    weight: Tensor
    bias: Tensor | None
    weight_gradient: Tensor
    bias_gradient: Tensor | None
    features: Tensor

    def predictions(self, features: Tensor) -> Tensor:
        """The victim's class probabilities (..., C) for features (..., F)."""
        return torch.nn.functional.linear(features, self.weight, self.bias).softmax(dim=-1)


def find_last_layer(observation: Observation, inputs: Tensor | None = None) -> LastLayer:
    """Find the layer by running the victim, wherever it is defined; everything is in float64.

    Args:
        observation: everything that the attacker sees.
        inputs: (N, C, H, W), normalized; by default, one gray image.

    Raises:
        TaskError: the model does not end in a linear layer, or that layer was not sent.
    """
    given = torch.zeros((1, *observation.model.image_shape), device="cpu") if inputs is None else inputs
    layer = observation.output_layer(given)
    gradient = observation.gradient()
    if layer.name not in gradient:
        raise TaskError(
            f"labels cannot be inferred: the last layer's weight '{layer.name}' was not sent; grant the "
            "labels, or use an attack that searches them, such as dlg"
        )
    bias_gradient = gradient.get(bias_of(layer.name))
    return LastLayer(
        weight=layer.weight.double(),
        bias=None if layer.bias is None else layer.bias.double(),
        weight_gradient=_finite(gradient[layer.name]),
        bias_gradient=None if bias_gradient is None else _finite(bias_gradient),
        features=layer.features.double(),
    )


def _finite(gradient: Tensor) -> Tensor:
    return torch.nan_to_num(gradient.detach().double(), nan=0.0, posinf=0.0, neginf=0.0)
