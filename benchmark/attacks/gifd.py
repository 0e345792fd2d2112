"""Gradient Inversion over Feature Domains (GIFD)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonargparse import lazy_instance  # type: ignore[attr-defined]
from torch import Tensor

from gifd_bench.benchmark.attacks.base import Stage, at_least_one
from gifd_bench.benchmark.attacks.staged import StagedSearch
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.projections import project_l1_ball, project_sphere
from gifd_bench.benchmark.inversion.radii import PerEntry, Radii
from gifd_bench.priors.base import LATENTS

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
        latent_radii: the same for latents that a later stage searches too (StyleGAN2); null for `radii`.
        noise_radii: the same for noise maps; null for `radii`.
        sphere: hold latents on the sphere of their start's norm, as the paper does; its release never does,
            because nothing reads its setting.
        starts: how many latents to start from; the best one goes on (the paper: one).
        last_stage: the last stage searched (the paper's K); null for the prior's last.
        total_variation: weight of the penalty on normalised images.
        image_norm: weight of the penalty on normalised images.
        common: see `StagedSearch`; the release uses 4 restarts.
    """

    def __init__(
        self,
        iterations: int | list[int] = 1000,
        learning_rate: float = 0.1,
        radii: Radii | None = lazy_instance(PerEntry, radius=1.0),
        latent_radii: Radii | None = None,
        noise_radii: Radii | None = None,
        sphere: bool = True,
        starts: int = 1,
        last_stage: int | None = None,
        total_variation: float = 1e-4,
        image_norm: float = 1e-6,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, total_variation, image_norm, **common)
        counts = iterations if isinstance(iterations, list) else [iterations]
        at_least_one(iterations=min(counts, default=0), starts=starts)
        self.steps = iterations
        self.radii, self.latent_radii, self.noise_radii = radii, latent_radii, noise_radii
        self.sphere = sphere
        self.starts = starts
        self.last_stage = last_stage

    def stages(self) -> tuple[Stage, ...]:
        stop = None if self.last_stage is None else self.last_stage + 1
        names = self.prior.stages[:stop]
        steps = self.budgets(len(names))
        if len(steps) != len(names):
            raise BenchmarkError(f"gifd: {len(steps)} numbers of iterations given for {len(names)} stages")
        later = zip(names[1:], steps[1:], strict=True)
        return (*self.each_start(steps[0]), *(Stage(name, count) for name, count in later))

    def budgets(self, stages: int) -> list[int]:
        """Iterations of each of the prior's stages."""
        return self.steps if isinstance(self.steps, list) else [self.steps] * stages

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        start = super().begin(stage)
        self.held |= {CENTRE + name: value.clone() for name, value in start.items()}
        return start

    def project(self) -> None:
        stage = self.prior_stage(self.progress.stage)
        for name, tensor in self.searched.items():
            centre, radii = self.held[CENTRE + name], self.radii_of(name)
            if stage > 0 and radii is not None:
                tensor.data = project_l1_ball(tensor.data, centre, radii.radius(stage, centre))
            if self.sphere and name in LATENTS:
                tensor.data = project_sphere(tensor.data, centre)

    def radii_of(self, name: str) -> Radii | None:
        """The balls that a searched tensor is held in."""
        if name in LATENTS:
            return self.latent_radii or self.radii
        return self.noise_radii or self.radii if name.startswith("noise") else self.radii
