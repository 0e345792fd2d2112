"""Features whose statistics are those that BatchNorm layers would have (Yin et al., "Dreaming to distill",
CVPR 2020, equation 4)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.batch_norm import Moments


class BatchNormPenalty:
    """How far the BatchNorm moments of candidate images are from those expected.

    Where the client sends one gradient of its whole batch, the moments are those of the pass that the
    gradient was computed with, at no cost. Local training passes parts of the batch at other weights, so
    there the images are passed once more, forward only; several clients' images together.

    Args:
        client: computes the candidate's update.
        expected: by layer.
        first_layer: factor of the first BatchNorm layer.
    """

    def __init__(
        self, client: SimulatedClient, expected: Mapping[str, Moments], first_layer: float
    ) -> None:
        self.client = client
        self.latest = client.watch_moments()
        self.first_layer = first_layer
        device = client.mean.device
        self.expected = {
            name: Moments(layer.mean.to(device), layer.var.to(device)) for name, layer in expected.items()
        }
        settings = client.settings
        self.latest_pass_is_whole = settings.local is None and settings.clients == 1

    def __call__(self, images: Tensor) -> Tensor:
        """The penalty of (B, 3, H, W) images in [0, 1], whose update was the latest to be computed."""
        if not self.latest_pass_is_whole:
            self.client.victim(self.client.normalise(images))
        return moment_distance(self.latest, self.expected, self.first_layer)


def moment_distance(
    found: Mapping[str, Moments], expected: Mapping[str, Moments], first_layer: float = 1.0
) -> Tensor:
    """Sum over layers of the Euclidean distances of means and of variances: a scalar (Yin et al., "See
    through gradients", CVPR 2021, section 3.3).

    Args:
        found: by layer, in the order of the model.
        expected: of the same layers.
        first_layer: factor of the first layer.
    """
    distances = [
        torch.linalg.vector_norm(layer.mean - expected[name].mean)
        + torch.linalg.vector_norm(layer.var - expected[name].var)
        for name, layer in found.items()
    ]
    total: Tensor = torch.stack(distances).sum() + (first_layer - 1) * distances[0]
    return total


def never_updated(statistics: Mapping[str, Moments]) -> bool:
    """Whether these are the zeros and ones that running statistics start from, which say nothing."""
    layers = statistics.values()
    return all(bool((layer.mean == 0).all()) and bool((layer.var == 1).all()) for layer in layers)
