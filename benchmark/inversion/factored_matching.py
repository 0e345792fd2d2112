"""Matching losses of candidates whose gradients are not formed, if that gives the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gifd_bench.benchmark.inversion.choices import Path
from gifd_bench.benchmark.inversion.factored import (
    GradientProducts,
    Products,
    cosine,
    euclidean,
    layerwise_cosine,
)
from gifd_bench.benchmark.inversion.matching import Cosine, Euclidean, LayerwiseCosine, MatchingLoss
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.batch_norm import batch_norm_layers
from gifd_bench.tasks.defenses.base import Imitation
from gifd_bench.tasks.defenses.composition import Imitations
from gifd_bench.tasks.defenses.masks import Masked
from gifd_bench.tasks.defenses.noise import Noisy
from gifd_bench.tasks.defenses.norm import Clipped
from gifd_bench.tasks.models.second_derivatives import twice_differentiable

# The class itself is compared, because a subclass may compute anything.
_LOSSES: dict[type[MatchingLoss], Callable[[Products, Tensor], Tensor]] = {
    Cosine: cosine,
    LayerwiseCosine: layerwise_cosine,
    Euclidean: euclidean,
}


class FactoredMatching:
    """The matching loss of each lane, from inner products and norms of gradients alone.

    Attributes:
        victim: the model that sees each forward pass.
        path: how products are computed, as in `GradientProducts`.

    Args:
        clients: clients with one victim, one for each target, for which `serves` is true.
        loss: a loss that was prepared for the observed update of the first client.
        shape: (C, H, W) of an image.
        lanes: the number of lanes that will run at the same time.
    """

    def __init__(
        self,
        clients: Sequence[SimulatedClient],
        loss: MatchingLoss,
        shape: tuple[int, int, int],
        lanes: int,
    ) -> None:
        self._client = client = clients[0]
        self._weights = loss.tensor_weights
        self._loss = _LOSSES[type(loss)]
        self._bounds = [
            _together(bounds) for bounds in zip(*(_bounds(each.imitation) for each in clients), strict=True)
        ]
        self._products = GradientProducts(
            client.victim,
            [dict(zip(each.names, each.observed, strict=True)) for each in clients],
            (client.observation.batch_size, *shape),
            lanes,
            _zeros(clients),
        )
        self.victim: nn.Module = self._products.victim
        self.path: Path = self._products.path

    @staticmethod
    def serves(clients: Sequence[SimulatedClient], loss: MatchingLoss) -> bool:
        """Whether a loss needs only inner products and norms of one gradient for each candidate.

        This includes everything that is imitated of the clients.
        """
        client = clients[0]
        return (
            type(loss) in _LOSSES
            and client.one_gradient
            and client.settings.loss.is_plain
            and not any(layer.training for _, layer in batch_norm_layers(client.victim))
            and all(_is_known(each.imitation) for each in clients)
        )

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """The matching losses: (L,).

        Args:
            images: (L, B, 3, H, W) in [0, 1].
            targets: (L, B) int64, or (L, B, classes) probabilities.
        """
        with twice_differentiable():
            products = self._products(self._client.normalize(images), targets)
        if self._client.observation.is_difference:
            products = products.negated()
        for bound in self._bounds:
            products = products.clipped(bound)
        return self._loss(products, self._weights)


def _parts(imitation: Imitation) -> Sequence[Imitation]:
    if isinstance(imitation, Imitations):
        return [part for each in imitation.parts for part in _parts(each)]
    return [imitation]


def _is_known(imitation: Imitation) -> bool:
    """Whether an imitation only expects noise, sets entries to zero, or clips, in this order."""
    parts = [part for part in _parts(imitation) if type(part) not in (Imitation, Noisy)]
    others = parts[1:] if parts and type(parts[0]) is Masked else parts
    return all(type(part) is Clipped for part in others)


def _zeros(clients: Sequence[SimulatedClient]) -> list[dict[str, Tensor]]:
    """For each client, by parameter: False where it is known to have set entries or columns to zero.

    All have the same parameters, which are those where any client did so.
    """
    found: list[dict[str, Tensor]] = [{} for _ in clients]
    for client, zeros in zip(clients, found, strict=True):
        for part in _parts(client.imitation):
            if isinstance(part, Masked):
                named = zip(client.names, part.masks, strict=True)
                zeros.update({name: mask for name, mask in named if mask is not None})
    shapes = {name: mask for zeros in found for name, mask in zeros.items()}
    for zeros in found:
        for name, mask in shapes.items():
            zeros.setdefault(name, torch.ones_like(mask))
    return found


def _bounds(imitation: Imitation) -> list[float | Tensor]:
    """The bounds to which updates are clipped, one after another."""
    return [part.bound for part in _parts(imitation) if isinstance(part, Clipped)]


def _together(bounds: Sequence[float | Tensor]) -> float | Tensor:
    """The bounds of all targets, (targets,); one number if they are equal, or there is only one."""
    tensors = [bound for bound in bounds if isinstance(bound, Tensor)]
    return torch.stack(tensors) if len(tensors) > 1 else bounds[0]
