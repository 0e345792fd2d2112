"""Features whose statistics are those that BatchNorm layers would have (Yin et al., "Dreaming to distill",
CVPR 2020, equation 4)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from gifd_bench.benchmark.inversion.search import as_lanes
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.batch_norm import Moments, batch_norm_layers


class BatchNormPenalty:
    """How far the BatchNorm moments of candidate images are from those expected.

    Where the client sends one gradient of its whole batch, the moments are those of the pass that the
    gradient was computed with, at no cost. Local training passes parts of the batch at other weights, so
    there the images are passed once more, forward only; several clients' images together.

    Args:
        client: computes the candidates' updates.
        expected: by layer.
        first_layer: factor of the first BatchNorm layer.
        victim: what candidates are passed through to be judged.
    """

    def __init__(
        self,
        client: SimulatedClient,
        expected: Mapping[str, Moments],
        first_layer: float,
        victim: nn.Module,
    ) -> None:
        self._client = client
        self._first_layer = first_layer
        device = client.mean.device
        self._expected = {
            name: Moments(layer.mean.to(device), layer.var.to(device)) for name, layer in expected.items()
        }
        settings = client.settings
        whole = settings.local is None and settings.clients == 1
        self._own_victim = None if whole else copy.deepcopy(client.victim)
        self._entered: dict[str, list[Tensor]] = {}
        for name, layer in batch_norm_layers(victim if self._own_victim is None else self._own_victim):
            self._entered[name] = []
            layer.register_forward_pre_hook(partial(self._see, name))

    def __call__(self, images: Tensor) -> Tensor:
        """The penalty of each lane's (L, B, 3, H, W) images in [0, 1], whose updates were computed just
        once since the last call: (L,)."""
        lanes = len(images)
        if self._own_victim is not None:
            for lane in images:
                self._own_victim(self._client.normalise(lane))
        found = {name: _lane_moments(entered, lanes) for name, entered in self._entered.items()}
        for entered in self._entered.values():
            entered.clear()
        return moment_distance(found, self._expected, self._first_layer)

    def _see(self, name: str, _: nn.Module, entered: tuple[Tensor, ...]) -> None:
        self._entered[name].append(entered[0])


def _lane_moments(entered: Sequence[Tensor], lanes: int) -> Moments:
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
