"""Weights of the penalties on images, for the options of attacks that use them."""

from __future__ import annotations

from dataclasses import dataclass

from gifd_bench.benchmark.attacks.options import AttackOptions, at_least


@dataclass(frozen=True, kw_only=True)
class SmoothOptions(AttackOptions):
    """Options of an attack that keeps images smooth.

    Attributes:
        total_variation: weight of the penalty on normalized images.
    """

    total_variation: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, total_variation=self.total_variation)


@dataclass(frozen=True, kw_only=True)
class NaturalOptions(SmoothOptions):
    """Options of an attack that keeps images smooth and within the brightness of photographs.

    Attributes:
        image_norm: weight of the penalty on normalized images.
    """

    image_norm: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, image_norm=self.image_norm)
