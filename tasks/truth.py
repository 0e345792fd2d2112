"""The private side of a task."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Truth:
    """The private batch. Only the scorer holds it; no attack is given one.

    Attributes:
        images: (B, 3, H, W) in [0, 1].
        labels: (B,) int64.
    """

    images: Tensor
    labels: Tensor
