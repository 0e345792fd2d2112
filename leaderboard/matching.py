"""The one matching loss for all submissions."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.observation import Observation


class UpdateDistance:
    """1 - cosine similarity of the observed update and the update for given images and labels.

    It is over all parameters at once. Defenses are not imitated, whatever the attacker knows about them, so
    anyone can compute it: it is a property of images, labels and observation, and not of an attack.
    """

    def __init__(self, observation: Observation) -> None:
        self._client = SimulatedClient(replace(observation, defenses=None), torch.device("cpu"))
        self._observed = _flat(self._client.observed)

    def __call__(self, images: Tensor, labels: Tensor) -> float:
        """The distance, between 0 and 2.

        Args:
            images: (B, 3, H, W) in [0, 1].
            labels: (B,) int64.
        """
        with torch.no_grad():
            update = _flat(list(self._client.update(images, labels)))
        # In float64, because a distance near 0 is the difference of two numbers near 1.
        product = update.norm() * self._observed.norm()
        return 1.0 - float(update @ self._observed / product.clamp(min=1e-300))


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors]).double()
