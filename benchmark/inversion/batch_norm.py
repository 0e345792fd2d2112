"""Moments of what enters BatchNorm layers, and how far apart they are (Yin et al., "Dreaming to distill",
CVPR 2020, equation 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.search import as_lanes
from gifd_bench.tasks.batch_norm import Moments


def lane_moments(entered: Sequence[Tensor], lanes: int) -> Moments:
    """Moments of what entered a layer, lane by lane: (L, C) each.

    Args:
        entered: in one call for all lanes, or in one a lane.
        lanes: how many there are.
    """
    features = as_lanes(torch.cat(list(entered)), lanes)
    others = [d for d in range(features.ndim) if d not in (0, 2)]
    return Moments(features.mean(dim=others), features.var(dim=others, unbiased=False))


def moment_distance(
    found: Mapping[str, Moments], expected: Mapping[str, Moments], first_layer: float = 1.0
) -> Tensor:
    """Sum over layers of the Euclidean distances of means and of variances (Yin et al., "See through
    gradients", CVPR 2021, section 3.3): a scalar, or one a lane where moments are.

    Args:
        found: by layer, in the order of the model, of (..., C).
        expected: of the same layers.
        first_layer: factor of the first layer.
    """
    distances = [
        torch.linalg.vector_norm(layer.mean - expected[name].mean, dim=-1)
        + torch.linalg.vector_norm(layer.var - expected[name].var, dim=-1)
        for name, layer in found.items()
    ]
    total: Tensor = torch.stack(distances).sum(dim=0) + (first_layer - 1) * distances[0]
    return total


def never_updated(statistics: Mapping[str, Moments]) -> bool:
    """Whether these are the zeros and ones that running statistics start from, which say nothing."""
    layers = statistics.values()
    return all(bool((layer.mean == 0).all()) and bool((layer.var == 1).all()) for layer in layers)
