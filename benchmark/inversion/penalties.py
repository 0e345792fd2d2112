"""Terms that are added to the matching losses: how likely images are before any update is seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gifd_bench.benchmark.inversion.batch_norm import BatchNormInputs, moment_distance
from gifd_bench.benchmark.inversion.group import consensus, group_distance
from gifd_bench.benchmark.inversion.search import Search
from gifd_bench.benchmark.inversion.simulation import Client
from gifd_bench.tasks.batch_norm import Moments


@dataclass(frozen=True)
class Iterate:
    """What penalties may look at: the current images of L lanes.

    Attributes:
        images: (L, B, 3, H, W) in [0, 1].
        inputs: the same images, normalized, as the victim sees them.
        search: the search from which they were rendered.
        step: the step of the stage, from 0.
    """

    images: Tensor
    inputs: Tensor
    search: Search
    step: int


class Penalty(ABC):
    """A term of what is minimized, in addition to the matching loss.

    Args:
        weight: the factor of its value; with a weight of 0 it is never called.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight

    @abstractmethod
    def __call__(self, iterate: Iterate) -> Tensor:
        """One value for each lane, (L,), differentiable."""


class TotalVariation(Penalty):
    """Anisotropic total variation of the normalized images: mean |dx| + mean |dy|.

    Geiping et al., NeurIPS 2020, section 4; the mean over all entries is that of their release.
    """

    def __call__(self, iterate: Iterate) -> Tensor:
        inputs = iterate.inputs
        horizontal = (inputs[..., :, 1:] - inputs[..., :, :-1]).abs().flatten(1).mean(dim=1)
        vertical = (inputs[..., 1:, :] - inputs[..., :-1, :]).abs().flatten(1).mean(dim=1)
        return horizontal + vertical


class ImageNorm(Penalty):
    """The Euclidean norm of a normalized image over its number of pixels, as a mean over the batch.

    Yin et al., "See through gradients", CVPR 2021, section 3.3; scaled as in the release of GIFD.
    """

    def __call__(self, iterate: Iterate) -> Tensor:
        pixels = iterate.inputs.shape[-1] * iterate.inputs.shape[-2]
        norms = torch.linalg.vector_norm(iterate.inputs.flatten(2), dim=2)
        values: Tensor = norms.mean(dim=1) / pixels
        return values


class BatchNormStatistics(Penalty):
    """The distance of the moments of the inputs of each BatchNorm layer from the expected ones.

    Yin et al., "See through gradients", CVPR 2021, section 3.3.

    If the client sends one gradient of its whole batch, the moments are those of the pass with which the
    gradient was computed, at no cost. Local training passes parts of the batch at other weights; then the
    images are passed once more, forward only, those of several clients together, and so they are if another
    process computes the gradient. Updates are computed exactly once between two calls.

    Args:
        weight: as in `Penalty`.
        first_layer: factor of the first BatchNorm layer.
        expected: the expected moments by layer; (C,), or one row for each target, (targets, C).
        client: computes the candidates' updates.
        victim: the model through which candidates are passed when they are judged;
            `None` if another process judges them.
    """

    def __init__(
        self,
        weight: float,
        first_layer: float,
        expected: Mapping[str, Moments],
        client: Client,
        victim: nn.Module | None,
    ) -> None:
        super().__init__(weight)
        self._client, self._first_layer = client, first_layer
        device = client.mean.device
        self._expected = {
            name: Moments(layer.mean.to(device), layer.var.to(device)) for name, layer in expected.items()
        }
        settings = client.settings
        whole = settings.local is None and settings.clients == 1
        self._inputs = BatchNormInputs(victim) if whole and victim is not None else None

    def __call__(self, iterate: Iterate) -> Tensor:
        lanes = len(iterate.images)
        passed = self._inputs
        found = self._client.moments(iterate.images) if passed is None else passed.moments(lanes)
        expected = {name: _of_lanes(moments, lanes) for name, moments in self._expected.items()}
        return moment_distance(found, expected, self._first_layer)


def _of_lanes(moments: Moments, lanes: int) -> Moments:
    """The moments that are expected of the target of each lane."""
    if moments.mean.ndim == 1:
        return moments
    each = lanes // len(moments.mean)
    return Moments(moments.mean.repeat_interleave(each, dim=0), moments.var.repeat_interleave(each, dim=0))


class GroupConsistency(Penalty):
    """The distance of each search of a group from what the group agrees on.

    Yin et al., "See through gradients", CVPR 2021, section 3.4.

    Args:
        weight: as in `Penalty`.
        name: the name of the searched images.
        size: the number of consecutive lanes that form a group.
        registration: the largest number of pixels by which a member is moved to coincide with the others.
        start: the step at which the penalty is switched on.
    """

    def __init__(self, weight: float, name: str, size: int, registration: int, start: float) -> None:
        super().__init__(weight)
        self._name, self._size = name, size
        self._registration, self._start = registration, start

    def __call__(self, iterate: Iterate) -> Tensor:
        searched = iterate.search.searched[self._name]
        if iterate.step < self._start:
            return searched.new_zeros(len(searched))
        groups = torch.split(searched, self._size)
        agreed = [consensus(group.detach(), self._registration) for group in groups]
        return torch.cat([group_distance(*pair) for pair in zip(groups, agreed, strict=True)])


class LatentDivergence(Penalty):
    """The divergence from N(0, 1) of the normal distribution that has the mean and variance of a latent.

    It is -(1 + log s^2 - m^2 - s^2) / 2, as a mean over the batch, as in the release of GGL (Li et al.,
    CVPR 2022), with a variance that is kept from zero by 1e-10.

    Args:
        weight: as in `Penalty`.
        latents: returns the latents of a search by name, (L, B, ...) each.
    """

    def __init__(self, weight: float, latents: Callable[[Search], Mapping[str, Tensor]]) -> None:
        super().__init__(weight)
        self._latents = latents

    def __call__(self, iterate: Iterate) -> Tensor:
        found = [tensor.flatten(2) for tensor in self._latents(iterate.search).values()]
        entries = torch.cat(found, dim=2)
        mean, variance = entries.mean(dim=2), entries.var(dim=2, unbiased=False)
        divergence: Tensor = (mean.square() + variance - 1 - (variance + 1e-10).log()) / 2
        return divergence.mean(dim=1)
