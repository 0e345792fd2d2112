"""GIFD with a prior that was trained on another distribution."""

from __future__ import annotations

from typing import ClassVar

from gifd_bench.benchmark.attacks.generator_options import GIFDOODOptions
from gifd_bench.benchmark.attacks.gifd import GIFD


class GIFDOOD(GIFD):
    """GIFD for private images that are unlike those on which the prior was trained.

    Fang et al., "GIFD", ICCV 2023, section 4.3, attack images of other styles (PACS) with the same method:
    features near the image depend least on the images on which the generator was trained. The rest is our
    addition. The class embedding is searched as a free vector if the task's classes are not the prior's.
    Because this makes the first stage harder, there are several starting points, of which the best
    continues. Iterations and radii grow from stage to stage.
    """

    Options: ClassVar[type[GIFDOODOptions]] = GIFDOODOptions
    packs: ClassVar[bool] = True
    options: GIFDOODOptions
