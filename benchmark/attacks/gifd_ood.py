"""GIFD with a prior that was trained on another distribution."""

from __future__ import annotations

from typing import ClassVar

from gifd_bench.benchmark.attacks.generator_options import GIFDOODOptions
from gifd_bench.benchmark.attacks.gifd import GIFD


class GIFDOOD(GIFD):
    """GIFD for private images that the prior knows nothing like.

    Fang et al., "GIFD", ICCV 2023, section 4.3, attack images of other styles (PACS) with the same method:
    features near the image depend least on what the generator was trained on. The rest is ours: that the
    class embedding is searched as a free vector where the task's classes are not the prior's; several
    starts, of which the best goes on, because that makes the first stage harder; and iterations and radii
    that grow from stage to stage.
    """

    Options: ClassVar[type[GIFDOODOptions]] = GIFDOODOptions
    packs: ClassVar[bool] = True
    options: GIFDOODOptions
