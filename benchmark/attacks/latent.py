"""Latent search."""

from __future__ import annotations

from typing import ClassVar

from gifd_bench.benchmark.attacks.generator_options import LatentOptions
from gifd_bench.benchmark.attacks.staged import StagedSearch


class Latent(StagedSearch):
    """Search of the latent alone: the first stage of GIFD, with which its later stages are compared."""

    Options: ClassVar[type[LatentOptions]] = LatentOptions
    packs: ClassVar[bool] = True
    options: LatentOptions
