"""Gradient Inversion over Feature Domains (GIFD)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from gifd_bench.benchmark.attacks.generator_options import GIFDOptions
from gifd_bench.benchmark.attacks.staged import StagedSearch
from gifd_bench.benchmark.inversion.projections import project_l1_ball, project_sphere
from gifd_bench.benchmark.inversion.radii import Radii
from gifd_bench.benchmark.inversion.search import Lane, Search, as_batch, as_lanes
from gifd_bench.priors.base import LATENTS


class GIFD(StagedSearch):
    """GIFD: the latent first, then each intermediate feature in turn, held in an l1 ball.

    Fang et al., "GIFD: a generative gradient inversion method with feature domain optimization", ICCV 2023,
    section 3.2 and algorithm 1. The generator is divided into stages. Each stage searches the feature with
    which the stage before ended (equation 6), and projects it after every step onto the l1 ball around the
    feature with which the stage began. The answer comes from the stage with the lowest matching loss.
    """

    Options: ClassVar[type[GIFDOptions]] = GIFDOptions
    packs: ClassVar[bool] = True
    options: GIFDOptions

    def begin(self, stage: int, lane: Lane, ended: Search | None) -> Search:
        return replace(start := super().begin(stage, lane, ended), began=start.searched)

    def project(self, search: Search) -> None:
        stage = self.progress.stage
        for name, tensor in search.searched.items():
            point, center = as_batch(tensor.data), as_batch(search.began[name])
            radii = self.radii_of(name)
            if stage > 0 and radii is not None:
                point = project_l1_ball(point, center, radii.radius(stage, center[0].numel()))
            if self.options.sphere and name in LATENTS:
                point = project_sphere(point, center)
            tensor.data = as_lanes(point, len(tensor))

    def radii_of(self, name: str) -> Radii | None:
        """The radii of the balls that hold a searched tensor; `None` for no balls."""
        if name in LATENTS:
            return self.options.latent_radii or self.options.radii
        of_noise = self.options.noise_radii if name in self.prior.noise_maps else None
        return of_noise or self.options.radii
