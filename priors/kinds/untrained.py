"""A generator with random weights (Ulyanov et al., "Deep image prior", CVPR 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.base import Prior, PriorKind, Variant, stages_by_side

_SIZES = tuple(4 * 2**k for k in range(1, 8))


def untrained(size: int = 32, width: int = 64, latent: int = 32, seed: int = 0) -> Prior:
    """Convolutions and bilinear upsampling with random weights, in stages.

    Args:
        size: side of the image in pixels: 8, 16, 32, ... 512.
        width: channels of every feature, a multiple of 8.
        latent: channels of the latent.
        seed: the seed of the weights.
    """
    from gifd_bench.priors.generators.untrained import UntrainedPrior

    return UntrainedPrior(size, width, latent, seed)


def stages_of(size: int) -> tuple[str, ...]:
    """The latent, then the feature of each side from 4 pixels to the image's.

    Raises:
        PriorError: there is no generator for this size.
    """
    if size not in _SIZES:
        raise PriorError(f"untrained: size must be {', '.join(map(str, _SIZES))}, not {size}")
    return stages_by_side(_SIZES.index(size) + 2)


def _stage_names(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    return stages_of(arguments["size"])


UNTRAINED = PriorKind(
    factory=untrained,
    origin="a seed",
    stage_names=_stage_names,
    variants=(Variant("", 32, 0, 512, 131_523, stages_of(32), untrained),),
)
