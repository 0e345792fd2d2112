"""Radii of the l1 balls that hold a feature search near its start."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError


class Radii(ABC):
    """Says how far, in l1 norm, a searched tensor may move during a stage."""

    @abstractmethod
    def radius(self, stage: int, centre: Tensor) -> float:
        """Radius round each sample of `centre` (B, ...) at a stage of 1 or later."""


class PerEntry(Radii):
    """A radius in proportion to the size of the tensor.

    Args:
        radius: mean absolute change of an entry at the ball's surface.
    """

    def __init__(self, radius: float) -> None:
        if not radius > 0:
            raise BenchmarkError(f"an l1 radius must be positive, not {radius}")
        self.per_entry = radius

    def radius(self, stage: int, centre: Tensor) -> float:
        return self.per_entry * centre[0].numel()


class PerStage(Radii):
    """One radius a stage, as in the release of GIFD.

    Args:
        radii: of stage 1, 2, ...
    """

    def __init__(self, radii: list[float]) -> None:
        if not radii or min(radii) <= 0:
            raise BenchmarkError(f"l1 radii must be positive, one a stage, not {radii}")
        self.radii = radii

    def radius(self, stage: int, centre: Tensor) -> float:
        if stage > len(self.radii):
            raise BenchmarkError(f"{len(self.radii)} l1 radii given, none for stage {stage}")
        return self.radii[stage - 1]


class Growing(Radii):
    """A radius in proportion to the size of the tensor, growing from stage to stage.

    Args:
        first: mean absolute change of an entry at the ball's surface, at stage 1.
        growth: factor from one stage to the next.
    """

    def __init__(self, first: float, growth: float) -> None:
        if not min(first, growth) > 0:
            raise BenchmarkError(f"first radius and growth must be positive, not {first} and {growth}")
        self.first, self.growth = first, growth

    def radius(self, stage: int, centre: Tensor) -> float:
        return self.first * self.growth ** (stage - 1) * centre[0].numel()
