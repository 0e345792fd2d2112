"""GIFD with a prior that was trained on another distribution."""

from __future__ import annotations

from typing import Any

from jsonargparse import lazy_instance  # type: ignore[attr-defined]

from gifd_bench.benchmark.attacks.base import at_least_one
from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.radii import Growing, Radii


class GIFDOOD(GIFD):
    """GIFD for private images that the prior knows nothing like.

    Fang et al., "GIFD", ICCV 2023, section 4.3, attack images of other styles (PACS) with the same method:
    features near the image depend least on what the generator was trained on. The rest is ours: that the
    class embedding is searched as a free vector where the task's classes are not the prior's; several
    starts, of which the best goes on, because that makes the first stage harder; and iterations and radii
    that grow from stage to stage.

    Args:
        iterations: of a stage on average; the stages have `growth` times the iterations of the one before.
            Each of the starts has those of the first stage.
        growth: at least 1; also of the radii.
        starts: how many latents and class embeddings to start from.
        radii: of the l1 balls; null searches without.
        gifd: all else; see `GIFD`.
    """

    def __init__(
        self,
        iterations: int = 1000,
        growth: float = 1.6,
        starts: int = 4,
        radii: Radii | None = lazy_instance(Growing, first=0.5, growth=1.6),
        **gifd: Any,
    ) -> None:
        super().__init__(iterations=iterations, starts=starts, radii=radii, **gifd)
        at_least_one(iterations=iterations)
        if not 1 <= growth < float("inf"):
            raise BenchmarkError(f"gifd_ood: growth must be at least 1, not {growth}")
        self.mean_iterations = iterations
        self.growth = growth

    def budgets(self, stages: int) -> list[int]:
        weights = [self.growth**stage for stage in range(stages)]
        unit = stages * self.mean_iterations / (sum(weights) + (self.starts - 1) * weights[0])
        return [max(1, round(unit * weight)) for weight in weights]
