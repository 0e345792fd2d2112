"""Gradient Inversion over Feature Domains (GIFD)."""

from __future__ import annotations

from collections.abc import Mapping

from jsonargparse import lazy_instance  # type: ignore[attr-defined]
from torch import Tensor

from benchmark.attacks.base import Stage
from benchmark.attacks.staged import StagedSearch
from benchmark.errors import BenchmarkError
from benchmark.inversion.projections import project_l1_ball
from benchmark.inversion.radii import PerEntry, Radii

CENTRE = "centre of "


class GIFD(StagedSearch):
    """The latent first, then each intermediate feature in turn, held in an l1 ball.

    Fang et al., "GIFD: a generative gradient inversion method with feature domain optimization", ICCV
    2023, section 3.2 and algorithm 1: the generator is cut in stages, each stage searches the feature
    that the last one ended with (equation 6), projected after every step onto the l1 ball round the
    feature at which it began, and the answer comes from the stage with the lowest matching loss.

    Args:
        iterations: of every stage (1,000 in the paper), or one number a stage.
        learning_rate: of Adam, new at every stage; warm-up over 5 %, cosine ramp-down over 75 %.
        radii: of the l1 balls; null searches without. The default is for the bundled prior, whose features
            have mean absolute values of 0.5 to 1.8; the paper's for BigGAN are about 0.06 an entry. Smaller
            balls cost quality on clean gradients and save it on noisy ones.
        last_stage: the last stage searched (the paper's K); null for the prior's last.
        total_variation: weight of the penalty on normalised images.
        image_norm: weight of the penalty on normalised images.
        restarts: the release uses 4.
    """

    def __init__(
        self,
        iterations: int | list[int] = 1000,
        learning_rate: float = 0.1,
        radii: Radii | None = lazy_instance(PerEntry, radius=1.0),
        last_stage: int | None = None,
        total_variation: float = 1e-4,
        image_norm: float = 1e-6,
        restarts: int = 1,
    ) -> None:
        super().__init__(learning_rate, total_variation, image_norm, restarts)
        counts = iterations if isinstance(iterations, list) else [iterations]
        if min(counts, default=0) < 1:
            raise BenchmarkError(f"gifd: iterations must be positive, not {iterations}")
        self.steps = iterations
        self.radii = radii
        self.last_stage = last_stage

    def stages(self) -> tuple[Stage, ...]:
        stop = None if self.last_stage is None else self.last_stage + 1
        names = self.prior.stages[:stop]
        steps = self.steps if isinstance(self.steps, list) else [self.steps] * len(names)
        if len(steps) != len(names):
            raise BenchmarkError(f"gifd: {len(steps)} numbers of iterations given for {len(names)} stages")
        return tuple(Stage(name, count) for name, count in zip(names, steps, strict=True))

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        start = super().begin(stage)
        if stage > 0 and self.radii is not None:
            self.held |= {CENTRE + name: value.clone() for name, value in start.items()}
        return start

    def project(self) -> None:
        stage = self.progress.stage
        if stage == 0 or self.radii is None:
            return
        for name, feature in self.searched.items():
            centre = self.held[CENTRE + name]
            feature.data = project_l1_ball(feature.data, centre, self.radii.radius(stage, centre))
