"""Radii of the l1 balls that hold a search of features near its start."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.values import as_one_value


@as_one_value
@dataclass(frozen=True)
class PerEntry:
    """A radius in proportion to the size of the tensor.

    Attributes:
        per_entry: the mean absolute change of an entry at the surface of the ball.
    """

    per_entry: float

    def __post_init__(self) -> None:
        if not 0 < self.per_entry < math.inf:
            raise BenchmarkError(f"radii: per_entry must be positive, not {self.per_entry}")

    def radius(self, stage: int, entries: int) -> float:
        """The radius in l1 norm, at a stage of 1 or later, for a tensor with this many entries."""
        return self.per_entry * entries


@as_one_value
@dataclass(frozen=True)
class PerStage:
    """One radius for each stage, as in the release of GIFD.

    Attributes:
        per_stage: the radii in l1 norm, of stages 1, 2, ...
    """

    per_stage: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "per_stage", tuple(self.per_stage))
        if not self.per_stage or not all(0 < radius < math.inf for radius in self.per_stage):
            raise BenchmarkError(
                f"radii: per_stage must be positive numbers, one for each stage, not {list(self.per_stage)}"
            )

    def radius(self, stage: int, entries: int) -> float:
        """The radius in l1 norm, at a stage of 1 or later.

        Raises:
            BenchmarkError: none is given for the stage.
        """
        if stage > len(self.per_stage):
            raise BenchmarkError(
                f"radii: per_stage has {len(self.per_stage)} numbers, none for stage {stage}"
            )
        return self.per_stage[stage - 1]


@as_one_value
@dataclass(frozen=True)
class Growing:
    """A radius in proportion to the size of the tensor, which grows from stage to stage.

    Attributes:
        first: the mean absolute change of an entry at the surface of the ball, at stage 1.
        growth: factor from one stage to the next.
    """

    first: float
    growth: float

    def __post_init__(self) -> None:
        for name, value in (("first", self.first), ("growth", self.growth)):
            if not 0 < value < math.inf:
                raise BenchmarkError(f"radii: {name} must be positive, not {value}")

    def radius(self, stage: int, entries: int) -> float:
        """The radius in l1 norm, at a stage of 1 or later, for a tensor with this many entries."""
        return self.first * self.growth ** (stage - 1) * entries


Radii: TypeAlias = PerEntry | PerStage | Growing
