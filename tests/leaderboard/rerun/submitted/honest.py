"""An attack as somebody may submit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.pixel_options import IGOptions


@dataclass(frozen=True, kw_only=True)
class SmoothOptions(IGOptions):
    """IG that keeps pixels away from their bounds.

    Attributes:
        weight: of that penalty.
    """

    weight: float = 0.1


class Smooth(IG):
    """IG that keeps pixels away from their bounds."""

    Options: ClassVar[type[SmoothOptions]] = SmoothOptions
    options: SmoothOptions

    def penalty(self, images: Tensor) -> Tensor:
        # More threads than there may be, and a line for people: neither is a fault.
        torch.set_num_threads(4)
        print(f"penalty {self.options.weight}")  # noqa: T201
        return super().penalty(images) + self.options.weight * (images - 0.5).square().mean()
