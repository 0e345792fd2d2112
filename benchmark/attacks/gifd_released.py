"""GIFD with two defects of its published code, to show how far they move its numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from gifd_bench.benchmark.attacks.generator_options import GIFDReleasedOptions
from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction


class GIFDReleased(GIFD):
    """GIFD as its published code computes it, where that differs from the paper.

    The code chooses a stage and a restart by the lowest matching loss, and then returns what the *last*
    restart had found at that stage (`choose_optimal` of the release, whose loop variable is used after the
    loop). It never projects a latent onto its sphere, because nothing reads the setting (`sphere: false`).
    Everything else is `gifd`. With a single restart the first defect has no effect.

    The matching loss that is reported is that of the returned images, whereas the release reports that of
    the restart that it chose.
    """

    Options: ClassVar[type[GIFDReleasedOptions]] = GIFDReleasedOptions
    packs: ClassVar[bool] = True
    options: GIFDReleasedOptions

    def reconstruction(self, target: int = 0) -> Reconstruction:
        best = super().reconstruction(target)
        last = self.course.stages_of(target, self.options.restarts - 1)
        place = [stage.matching_loss for stage in best.stages].index(best.matching_loss)
        if place >= len(last):
            raise BenchmarkError(
                "the inversion was stopped before its last restart had reached the answer's stage"
            )
        returned = last[place]
        return replace(
            best,
            images=returned.images,
            labels=returned.labels,
            matching_loss=returned.matching_loss,
            stages=last,
            # The earlier answers are not kept, because they belong to the restart with the lowest loss.
            anytime=(),
        )
