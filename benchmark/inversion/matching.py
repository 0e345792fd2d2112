"""Matching losses: the distance of a candidate's update from the observed one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.choices import Distance, Matching

# The weights of a given number of parameter tensors, in their order.
TensorWeights: TypeAlias = Callable[[int], list[float]]


class MatchingLoss(ABC):
    """A distance between two updates, each given as one tensor for each parameter, in the same order.

    Args:
        weights: the weights of the parameter tensors; `None` for equal weights.
    """

    # Also for subclasses with a constructor of their own.
    weights: TensorWeights | None = None

    def __init__(self, weights: TensorWeights | None = None) -> None:
        self.weights = weights

    def prepare(self, observed: Sequence[Tensor]) -> None:
        """Take the observed update, once, before the first call."""
        self.observed = [tensor.flatten() for tensor in observed]
        count = len(self.observed)
        weights = [1.0] * count if self.weights is None else self.weights(count)
        # One scalar for each tensor. Like all sums over tensors below, they never leave the device.
        self.tensor_weights = self.observed[0].new_tensor(weights)
        self.tensor_sizes = self.observed[0].new_tensor([o.numel() for o in self.observed])

    @abstractmethod
    def __call__(self, candidate: Sequence[Tensor]) -> Tensor:
        """The distance of `candidate` from the prepared update: a scalar, differentiable."""

    @abstractmethod
    def noise_floor(self, std: float | Tensor) -> Tensor:
        """The expected distance of the truth, if every observed entry has independent Gaussian noise.

        Args:
            std: the standard deviation of the noise.

        Returns:
            A scalar.
        """


class Cosine(MatchingLoss):
    """1 - cosine similarity over all parameters at once; between 0 and 2.

    Geiping et al., "Inverting gradients", NeurIPS 2020, equation 4. The weights are those of the tensors'
    shares in the inner product and the squared norms. An update of norm zero has distance 1 from any other.
    """

    def prepare(self, observed: Sequence[Tensor]) -> None:
        super().prepare(observed)
        self.squared = torch.dot(self.tensor_weights, dots(self.observed, self.observed))

    def __call__(self, candidate: Sequence[Tensor]) -> Tensor:
        flat = [c.flatten() for c in candidate]
        inner = torch.dot(self.tensor_weights, dots(flat, self.observed))
        return cosine_distance(inner, torch.dot(self.tensor_weights, dots(flat, flat)), self.squared)

    def noise_floor(self, std: float | Tensor) -> Tensor:
        noise = torch.dot(self.tensor_weights, self.tensor_sizes) * torch.as_tensor(std) ** 2
        return noisy_cosine_distance(noise, self.squared)


class LayerwiseCosine(MatchingLoss):
    """The mean over the parameter tensors of 1 - cosine similarity, weighted if weights are given.

    It is between 0 and 2, and is the `simlocal` cost of the release of IG, as a mean. Tensors in which only
    zeros were observed have no direction, and are left out.
    """

    def prepare(self, observed: Sequence[Tensor]) -> None:
        super().prepare(observed)
        self.squared = dots(self.observed, self.observed)
        present = self.tensor_weights * (self.squared > 0)
        self.shares = present / present.sum().clamp(min=torch.finfo(present.dtype).tiny)

    def __call__(self, candidate: Sequence[Tensor]) -> Tensor:
        flat = [c.flatten() for c in candidate]
        distances = cosine_distance(dots(flat, self.observed), dots(flat, flat), self.squared)
        return torch.dot(self.shares, distances)

    def noise_floor(self, std: float | Tensor) -> Tensor:
        noise = self.tensor_sizes * torch.as_tensor(std) ** 2
        return torch.dot(self.shares, noisy_cosine_distance(noise, self.squared))


class MaskedCosine(MatchingLoss):
    """1 - cosine similarity over the entries that are largest in the observed update; between 0 and 2.

    A fraction of the entries of each parameter tensor counts, and at least one entry: those of largest
    observed magnitude. It is the `sim_cmpr` cost of the release of GIAS (Jeon et al., "Gradient inversion
    with generative image prior", NeurIPS 2021), whose ratio is 1 - `fraction`; among equal entries, only as
    many count as are needed.

    Args:
        fraction: the fraction of the entries, above 0 and at most 1.
        weights: the weights of the parameter tensors; `None` for equal weights.
    """

    def __init__(self, fraction: float, weights: TensorWeights | None = None) -> None:
        super().__init__(weights)
        self.fraction = fraction

    def prepare(self, observed: Sequence[Tensor]) -> None:
        super().prepare(observed)
        self.kept = [
            torch.topk(o.abs(), self._count(o.numel()), sorted=False).indices for o in self.observed
        ]
        self.largest = [o[kept] for o, kept in zip(self.observed, self.kept, strict=True)]
        self.squared = torch.dot(self.tensor_weights, dots(self.largest, self.largest))

    def _count(self, entries: int) -> int:
        return min(entries, max(1, int(entries * self.fraction)))

    def __call__(self, candidate: Sequence[Tensor]) -> Tensor:
        flat = [c.flatten()[kept] for c, kept in zip(candidate, self.kept, strict=True)]
        inner = torch.dot(self.tensor_weights, dots(flat, self.largest))
        return cosine_distance(inner, torch.dot(self.tensor_weights, dots(flat, flat)), self.squared)

    def noise_floor(self, std: float | Tensor) -> Tensor:
        # Entries are kept for their noise too, so that it is neither orthogonal to the truth nor of
        # variance std^2 over them. Let o = t + e, g(o) be o where o is kept and 0 elsewhere, and q be the
        # density of |o|. By Stein's lemma E[e g] = std^2 E[g'] = std^2 (P(kept) + threshold q(threshold)),
        # the last for the jump of g; and twice, E[e^2 kept] = std^2 P(kept) - std^4 q'(threshold). Density
        # and slope are read from the observed magnitudes within std/2 of the threshold.
        std = torch.as_tensor(std, dtype=self.squared.dtype, device=self.squared.device)
        pairs = [
            self._noise_on_largest(o, kept, std)
            for o, kept in zip(self.observed, self.largest, strict=True)
        ]
        inner, noise = (
            torch.dot(self.tensor_weights, torch.stack(part)) for part in zip(*pairs, strict=True)
        )
        tiny = torch.finfo(inner.dtype).tiny
        true_squared = (self.squared - 2 * inner + noise).clamp(min=tiny)
        similarity = (self.squared - inner) / (true_squared * self.squared.clamp(min=tiny)).sqrt()
        return 1 - similarity.clamp(min=0, max=1)

    @staticmethod
    def _noise_on_largest(observed: Tensor, largest: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """The expected inner product of the noise with the kept entries, and its squared norm on them."""
        plain = len(largest) * std**2
        if len(largest) == len(observed):
            return plain, plain
        threshold, magnitudes = largest.abs().min(), observed.abs()
        above = ((magnitudes >= threshold) & (magnitudes < threshold + std / 2)).sum()
        below = ((magnitudes < threshold) & (magnitudes >= threshold - std / 2)).sum()
        return plain + std * threshold * (above + below), plain - 4 * std**2 * (above - below)


class Euclidean(MatchingLoss):
    """The sum of squared differences over all parameters.

    Zhu et al., "Deep leakage from gradients", NeurIPS 2019, equation 4.
    """

    def __call__(self, candidate: Sequence[Tensor]) -> Tensor:
        differences = [c.flatten() - o for c, o in zip(candidate, self.observed, strict=True)]
        return torch.dot(self.tensor_weights, dots(differences, differences))

    def noise_floor(self, std: float | Tensor) -> Tensor:
        return torch.dot(self.tensor_weights, self.tensor_sizes) * torch.as_tensor(std) ** 2


class L1(MatchingLoss):
    """The sum of absolute differences over all parameters.

    It is the `l1` cost of the release of IG (Geiping et al., NeurIPS 2020).
    """

    def __call__(self, candidate: Sequence[Tensor]) -> Tensor:
        pairs = zip(candidate, self.observed, strict=True)
        sums = [torch.linalg.vector_norm(c.flatten() - o, ord=1) for c, o in pairs]
        return torch.dot(self.tensor_weights, torch.stack(sums))

    def noise_floor(self, std: float | Tensor) -> Tensor:
        # The mean magnitude of a Gaussian variate.
        mean = math.sqrt(2 / math.pi) * torch.as_tensor(std)
        return torch.dot(self.tensor_weights, self.tensor_sizes) * mean


_LOSSES: dict[Distance, type[Cosine | LayerwiseCosine | Euclidean | L1]] = {
    "cosine": Cosine,
    "layerwise_cosine": LayerwiseCosine,
    "euclidean": Euclidean,
    "l1": L1,
}


def matching_loss(matching: Matching) -> MatchingLoss:
    """The loss for an option."""
    if matching.fraction is not None:
        return MaskedCosine(matching.fraction, matching.weights)
    return _LOSSES[matching.distance](matching.weights)


def dots(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """The inner product of each pair of flat tensors: (pairs,).

    Dot products are used in place of elementwise products, which would need a temporary tensor as large as
    the model.
    """
    return torch.stack([torch.dot(a, b) for a, b in zip(one, other, strict=True)])


def cosine_distance(inner: Tensor, squared: Tensor, observed_squared: Tensor) -> Tensor:
    """1 - cosine similarity from inner products and squared norms of any shape.

    It is 1, with a bounded gradient, where a norm is zero.
    """
    limits = torch.finfo(inner.dtype)
    # A candidate's norm below the observed one's rounding error says nothing of its direction.
    squared = squared.clamp(min=(limits.eps**2 * observed_squared).clamp(min=limits.tiny))
    return 1 - inner / (squared.sqrt() * observed_squared.clamp(min=limits.tiny).sqrt())


def noisy_cosine_distance(noise: Tensor, observed_squared: Tensor) -> Tensor:
    """The distance of the truth t from its observation o, from the expected squared norm of the noise.

    The noise is nearly orthogonal to the truth: <t, o> = |t|^2 and |o|^2 = |t|^2 + |noise|^2.
    """
    tiny = torch.finfo(observed_squared.dtype).tiny
    return 1 - (1 - noise / observed_squared.clamp(min=tiny)).clamp(min=0).sqrt()
