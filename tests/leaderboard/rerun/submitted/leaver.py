"""An attack that ends as if it were a registered one that cannot be made."""

from __future__ import annotations

import os

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.pixel_options import IGOptions


class Leaver(IG):
    """No options besides IG's."""

    def __init__(self, options: IGOptions) -> None:
        super().__init__(options)
        os._exit(71)
