"""An attack that finds the way out for answers, and writes one of its own."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import torch
from safetensors.torch import save

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.pixel_options import IGOptions


@dataclass(frozen=True, kw_only=True)
class ForgerOptions(IGOptions):
    """What it says.

    Attributes:
        image: the value of its pixels.
    """

    image: float = math.nan


class Forger(IG):
    """Writes what it likes to whatever is open: its answer, and nonsense to the oracle."""

    Options: ClassVar[type[ForgerOptions]] = ForgerOptions

    def __init__(self, options: ForgerOptions) -> None:
        super().__init__(options)
        forged = save(
            {
                "images": torch.full((1, 3, 32, 32), options.image),
                "labels": torch.zeros(1, dtype=torch.int64),
            }
        )
        for descriptor in range(3, 256):
            with suppress(OSError):
                os.write(descriptor, forged)
        os._exit(0)
