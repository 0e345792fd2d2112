"""Latent search."""

from __future__ import annotations

from typing import ClassVar

from gifd_bench.benchmark.attacks.generator_options import LatentOptions
from gifd_bench.benchmark.attacks.staged import StagedSearch


class Latent(StagedSearch):
    """Latent search alone: the first stage of GIFD, and what its later stages are measured against."""

    Options: ClassVar[type[LatentOptions]] = LatentOptions
    packs: ClassVar[bool] = True
    options: LatentOptions
