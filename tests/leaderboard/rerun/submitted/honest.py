"""An attack as somebody may submit it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gifd_bench.benchmark.attacks.ig import IG


class Smooth(IG):
    """IG that keeps pixels away from their bounds.

    Args:
        weight: of that penalty.
        common: see `IG`.
    """

    def __init__(self, weight: float = 0.1, **common: Any) -> None:
        super().__init__(**common)
        self.weight = weight

    def penalty(self, images: Tensor) -> Tensor:
        # More threads than there may be, and a line for people: neither is a fault.
        torch.set_num_threads(4)
        print(f"penalty {self.weight}")  # noqa: T201
        return super().penalty(images) + self.weight * (images - 0.5).square().mean()
