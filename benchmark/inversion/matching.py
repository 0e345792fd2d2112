"""Matching losses: how far the update of a candidate is from the observed one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor


class MatchingLoss(ABC):
    """A distance between two updates, given as one tensor a parameter, in the same order."""

    def prepare(self, observed: Sequence[Tensor]) -> None:
        """See the observed update once, before the first call."""
        self.observed = [tensor.flatten() for tensor in observed]

    @abstractmethod
    def __call__(self, candidate: Sequence[Tensor]) -> Tensor:
        """The distance of `candidate` to the prepared update: a scalar, differentiable."""


class Cosine(MatchingLoss):
    """1 - cosine similarity over all parameters at once (Geiping et al., "Inverting gradients",
    NeurIPS 2020, equation 4); between 0 and 2."""

    def prepare(self, observed: Sequence[Tensor]) -> None:
        super().prepare(observed)
        self.norm = torch.stack([torch.dot(o, o) for o in self.observed]).sum().sqrt()

    def __call__(self, candidate: Sequence[Tensor]) -> Tensor:
        flat = [c.flatten() for c in candidate]
        # Dot products, not elementwise products: no temporary as large as the model.
        inner = torch.stack([torch.dot(c, o) for c, o in zip(flat, self.observed, strict=True)]).sum()
        squared = torch.stack([torch.dot(c, c) for c in flat]).sum()
        return 1 - inner / (squared.sqrt() * self.norm)


class Euclidean(MatchingLoss):
    """Sum of squared differences over all parameters (Zhu et al., "Deep leakage from gradients",
    NeurIPS 2019, equation 4)."""

    def __call__(self, candidate: Sequence[Tensor]) -> Tensor:
        pairs = zip(candidate, self.observed, strict=True)
        return torch.stack([(c.flatten() - o).square().sum() for c, o in pairs]).sum()
