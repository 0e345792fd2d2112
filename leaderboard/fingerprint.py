"""Telling observations apart across machines, whose arithmetic differs in the last bits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from gifd_bench.tasks.observation import Observation

BUCKETS = 16
# How far one observation's sketch moves between machines, as a share of its length. Last bits of float32
# sums move it by about 1e-6; where they turn a unit of the victim on or off, whose input is all but zero,
# by about 2e-3 (observation 000 of photos-v1, between processors with and without AVX-512); bfloat16
# products, which torch takes for float32 where `set_float32_matmul_precision("medium")` allows it, by
# 4.1e-2 (the same one). The closest two published observations, one image under two defenses, are 0.19
# apart.
TOLERANCE = 6e-2
SEED = 0


def fingerprint(observation: Observation) -> list[float]:
    """A count sketch of the update (Charikar et al., "Finding frequent items in data streams", 2002).

    Every entry is added with a random sign to one of `BUCKETS` sums. The length of the sketch then
    estimates that of the update, and the difference of two sketches that of two updates. It says nothing
    about the images that the update does not say.

    Returns:
        `BUCKETS` numbers with six digits.
    """
    generator = torch.Generator().manual_seed(SEED)
    sums = torch.zeros(BUCKETS, dtype=torch.float64)
    for tensor in observation.update.values():
        flat = tensor.flatten().double()
        signs = torch.randint(2, flat.shape, generator=generator).mul_(2).sub_(1)
        buckets = torch.randint(BUCKETS, flat.shape, generator=generator)
        sums.index_add_(0, buckets, flat * signs)
    return [float(f"{value:.6g}") for value in sums.tolist()]


def is_same(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether two fingerprints belong to one observation, even if it was made on two machines."""
    return math.dist(first, second) <= TOLERANCE * max(math.hypot(*first), math.hypot(*second))
