"""Matching losses of candidates whose gradients are not formed, where that gives the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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

# By the very class: a subclass may compute anything.
_LOSSES: dict[type[MatchingLoss], Callable[[Products, Tensor], Tensor]] = {
    Cosine: cosine,
    LayerwiseCosine: layerwise_cosine,
    Euclidean: euclidean,
}


class FactoredMatching:
    """The matching loss of each lane, from inner products and norms of gradients alone.

    Attributes:
        victim: sees each forward pass.
        path: see `GradientProducts`.

    Args:
        client: as `serves` asks for.
        loss: prepared for the client's observed update.
        shape: of an image: channels, height and width.
        lanes: how many there will be at once.
    """

    def __init__(
        self, client: SimulatedClient, loss: MatchingLoss, shape: tuple[int, int, int], lanes: int
    ) -> None:
        self._client = client
        self._weights = loss.tensor_weights
        self._loss = _LOSSES[type(loss)]
        mask, self._bounds = _mask_and_bounds(client.imitation)
        columns = {n: m for n, m in zip(client.names, mask, strict=True) if m is not None} if mask else {}
        self._products = GradientProducts(
            client.victim,
            [dict(zip(client.names, client.observed, strict=True))],
            (client.observation.batch_size, *shape),
            lanes,
            [columns] if columns else (),
        )
        self.victim: nn.Module = self._products.victim
        self.path: Path = self._products.path

    @staticmethod
    def serves(client: SimulatedClient, loss: MatchingLoss) -> bool:
        """Whether the loss needs no more than inner products and norms of one gradient a candidate,
        whatever of the client is imitated."""
        return (
            type(loss) in _LOSSES
            and client.one_gradient
            and client.settings.loss.is_plain
            and not any(layer.training for _, layer in batch_norm_layers(client.victim))
            and _is_known(client.imitation)
        )

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """The matching losses: (L,).

        Args:
            images: (L, B, 3, H, W) in [0, 1].
            targets: (L, B) int64, or (L, B, classes) probabilities.
        """
        with twice_differentiable():
            products = self._products(self._client.normalise(images), targets)
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
    """Whether an imitation adds noise to nothing, zeroes columns of a matrix, or clips, in this order."""
    parts = [part for part in _parts(imitation) if type(part) not in (Imitation, Noisy)]
    masks = [part.masks for part in parts[:1] if type(part) is Masked]
    others = parts[len(masks) :]
    columns = all(mask is None or mask.ndim == 1 for part in masks for mask in part)
    return columns and all(type(part) is Clipped for part in others)


def _mask_and_bounds(
    imitation: Imitation,
) -> tuple[tuple[Tensor | None, ...] | None, list[float | Tensor]]:
    parts = _parts(imitation)
    masks = [part.masks for part in parts if isinstance(part, Masked)]
    return masks[0] if masks else None, [part.bound for part in parts if isinstance(part, Clipped)]
