"""Moments of the inputs of BatchNorm layers, and the distance between moments.

Yin et al., "Dreaming to distill", CVPR 2020, equation 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from gifd_bench.benchmark.inversion.search import as_lanes
from gifd_bench.tasks.batch_norm import Moments, batch_norm_layers


def lane_moments(entered: Sequence[Tensor], lanes: int) -> Moments:
    """The moments of the inputs of a layer, lane by lane: (L, C) each.

    Args:
        entered: the inputs in one call for all lanes, or in one call for each lane.
        lanes: the number of lanes.
    """
    features = as_lanes(torch.cat(list(entered)), lanes)
    others = [d for d in range(features.ndim) if d not in (0, 2)]
    return Moments(features.mean(dim=others), features.var(dim=others, unbiased=False))


class BatchNormInputs:
    """What enters the BatchNorm layers of a model in its forward passes, from now on.

    Args:
        model: the model, which gets hooks that stay.
    """

    def __init__(self, model: nn.Module) -> None:
        self._entered: dict[str, list[Tensor]] = {}
        for name, layer in batch_norm_layers(model):
            self._entered[name] = []
            layer.register_forward_pre_hook(partial(self._see, name))

    def moments(self, lanes: int) -> dict[str, Moments]:
        """The moments of what entered since the last call, by layer; see `lane_moments`."""
        found = {name: lane_moments(entered, lanes) for name, entered in self._entered.items()}
        for entered in self._entered.values():
            entered.clear()
        return found

    def _see(self, name: str, _: nn.Module, entered: tuple[Tensor, ...]) -> None:
        self._entered[name].append(entered[0])


def moment_distance(
    found: Mapping[str, Moments], expected: Mapping[str, Moments], first_layer: float = 1.0
) -> Tensor:
    """The sum over layers of the Euclidean distances of means and of variances.

    Yin et al., "See through gradients", CVPR 2021, section 3.3.

    Args:
        found: moments (..., C) by layer, in the order of the model.
        expected: moments of the same layers.
        first_layer: factor of the first layer.

    Returns:
        A scalar, or one value for each lane if the moments have lanes.
    """
    distances = [
        torch.linalg.vector_norm(layer.mean - expected[name].mean, dim=-1)
        + torch.linalg.vector_norm(layer.var - expected[name].var, dim=-1)
        for name, layer in found.items()
    ]
    total: Tensor = torch.stack(distances).sum(dim=0) + (first_layer - 1) * distances[0]
    return total


def never_updated(statistics: Mapping[str, Moments]) -> bool:
    """Whether these are the initial zeros and ones of running statistics, which say nothing."""
    layers = statistics.values()
    return all(bool((layer.mean == 0).all()) and bool((layer.var == 1).all()) for layer in layers)
