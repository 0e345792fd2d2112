"""Which reconstruction is compared with which private image."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def assign(reconstructions: Tensor, truths: Tensor) -> Tensor:
    """The one assignment that every metric uses: least total squared error (Hungarian algorithm).

    Args:
        reconstructions: (B, 3, H, W) in [0, 1].
        truths: the same shape.

    Returns:
        (B,) int64: position k holds the index of the reconstruction that belongs to truth k.
    """
    costs = torch.cdist(truths.flatten(1).double(), reconstructions.flatten(1).double()).square()
    _, columns = linear_sum_assignment(costs.cpu().numpy())
    return torch.from_numpy(columns)
