"""An attack that fills memory: first what several processes could share, then its own."""

from __future__ import annotations

import mmap

import torch

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.pixel_options import IGOptions

CHUNK = 64 << 20


class Glutton(IG):
    """No options besides IG's."""

    def __init__(self, options: IGOptions) -> None:
        super().__init__(options)
        held: list[object] = []
        try:
            while len(held) < 64:
                held.append(mmap.mmap(-1, CHUNK))
        except OSError:
            shared = len(held) * CHUNK >> 20
        held.clear()
        while len(held) < 64:
            try:
                held.append(torch.ones(CHUNK, dtype=torch.uint8))
            except RuntimeError as error:
                own = len(held) * CHUNK >> 20
                raise MemoryError(f"{shared} MiB shared, {own} MiB own") from error
