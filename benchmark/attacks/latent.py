"""Latent search."""

from __future__ import annotations

from typing import Any

from gifd_bench.benchmark.attacks.base import Stage, at_least_one
from gifd_bench.benchmark.attacks.staged import StagedSearch


class Latent(StagedSearch):
    """Latent search alone: the first stage of GIFD, and what its later stages are measured against.

    Fang et al., "GIFD", ICCV 2023, equation 4, with the settings of their release.

    Args:
        iterations: of a restart.
        learning_rate: of Adam; warm-up over 5 %, cosine ramp-down over 75 %.
        total_variation: weight of the penalty on normalised images.
        image_norm: weight of the penalty on normalised images.
        common: see `StagedSearch`; the release uses 4 restarts.
    """

    def __init__(
        self,
        iterations: int = 1000,
        learning_rate: float = 0.1,
        total_variation: float = 1e-4,
        image_norm: float = 1e-6,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, total_variation, image_norm, **common)
        at_least_one(iterations=iterations)
        self.steps = iterations

    def stages(self) -> tuple[Stage, ...]:
        return (Stage(self.prior.stages[0], self.steps),)
