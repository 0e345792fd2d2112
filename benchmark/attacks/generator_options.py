"""Options of the attacks that search inside a prior."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

from typing_extensions import Self

from gifd_bench.benchmark.attacks.options import AttackOptions, Stage, at_least, positive
from gifd_bench.benchmark.attacks.penalty_options import NaturalOptions, SmoothOptions
from gifd_bench.benchmark.attacks.search_space import Draw, split
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.choices import Distance, Matching
from gifd_bench.benchmark.inversion.radii import Growing, PerEntry, PerStage, Radii

Bound: TypeAlias = Literal["tanh", "kl"]


@dataclass(frozen=True, kw_only=True)
class GeneratorOptions(AttackOptions):
    """Options of an attack that searches, at each stage, what the prior names."""

    needs_prior: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class GGLOptions(GeneratorOptions):
    """Generative Gradient Leakage: the latent alone, by CMA-ES, which needs no gradient of the generator.

    Li et al., "Auditing privacy defenses in federated learning via generative gradient leakage", CVPR 2022.
    The defaults are those of the authors' release for ImageNet.

    Attributes:
        iterations: generations of a restart.
        population: members of a generation.
        deviation: standard deviation of every entry of the latent in the first generation.
        bound: what keeps a latent near those on which the generator was trained: `tanh` renders the tanh of
            what is searched, and `kl` adds a divergence from the standard normal. The release uses one or
            the other, depending on the script.
        kl: weight of that divergence, relative to squared differences averaged over parameter tensors.
        loss: the matching loss (the paper's: euclidean).
    """

    iterations: int = 500
    population: int = 50
    deviation: float = 1.0
    bound: Bound = "tanh"
    kl: float = 0.1
    loss: Distance | Matching = "euclidean"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, iterations=self.iterations)
        at_least(2, population=self.population)
        at_least(0, kl=self.kl)
        positive(deviation=self.deviation)
        if self.bound not in ("tanh", "kl"):
            raise BenchmarkError(f"bound must be tanh or kl, not {self.bound}")

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        population = draw.whole("population", 6, 50)
        generations = (evaluations // self.restarts - 1) // population
        if generations < 1:
            raise BenchmarkError(f"{evaluations} gradient evaluations are too few for one generation")
        bound: Bound = "tanh" if draw.choice("bound", ("tanh", "kl")) == "tanh" else "kl"
        deviation = draw.log("deviation", 0.1, 2.0)
        return replace(
            self, iterations=generations, population=population, bound=bound, deviation=deviation
        )

    def stages(self, prior_stages: tuple[str, ...]) -> tuple[Stage, ...]:
        return (Stage(prior_stages[0], self.iterations, self.population),)

    def members_at_the_end(self, stage: Stage) -> int:
        """One: the mean of the last generation."""
        return 1


@dataclass(frozen=True, kw_only=True)
class GIASOptions(GeneratorOptions, SmoothOptions):
    """Gradient Inversion in Alternative Spaces: the latent, then the weights of a generator for each image.

    Jeon et al., "Gradient inversion with generative image prior", NeurIPS 2021. The defaults are those of
    the authors' release for 32x32.

    Attributes:
        latent_iterations: iterations of the search of the latent, from each starting point.
        weight_iterations: iterations of the search of the weights.
        starts: searches of the latent; the best of them continues.
        latent_learning_rate: learning rate of Adam for the latent; divided by ten after 3/8, 5/8 and 7/8 of
            the iterations.
        weight_learning_rate: learning rate of Adam for the weights, with the same schedule (GIFD's
            comparison takes 1e-5 for BigGAN).
        total_variation: weight of the penalty on normalized images (1e-4 in GIFD's comparison).
        loss: the matching loss (cosine; the release can mask it).
    """

    latent_iterations: int = 500
    weight_iterations: int = 5000
    starts: int = 3
    latent_learning_rate: float = 3e-2
    weight_learning_rate: float = 1e-3
    total_variation: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(
            1,
            latent_iterations=self.latent_iterations,
            weight_iterations=self.weight_iterations,
            starts=self.starts,
        )
        positive(
            latent_learning_rate=self.latent_learning_rate, weight_learning_rate=self.weight_learning_rate
        )

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        starts = draw.whole("starts", 1, 4)
        of_latent = draw.uniform("share_of_latent", 0.02, 0.5)
        latent, weights = split(evaluations // self.restarts - starts, (of_latent, 1 - of_latent))
        return replace(
            self,
            starts=starts,
            latent_iterations=max(1, latent // starts),
            weight_iterations=weights,
            latent_learning_rate=draw.log("latent_learning_rate", 3e-3, 0.3),
            weight_learning_rate=draw.log("weight_learning_rate", 1e-5, 1e-2),
            total_variation=draw.log("total_variation", 1e-6, 0.3),
        )

    def stages(self, prior_stages: tuple[str, ...]) -> tuple[Stage, ...]:
        latent = Stage(prior_stages[0], self.latent_iterations, self.starts)
        return (latent, Stage("weights", self.weight_iterations))


@dataclass(frozen=True, kw_only=True)
class StagedOptions(GeneratorOptions, NaturalOptions):
    """Options of a search by Adam with total variation and image norm, as in the release of GIFD.

    Attributes:
        learning_rate: learning rate of Adam, which starts anew at every stage; warm-up over 5 %, cosine
            ramp-down over 75 %.
        restarts: the number of searches from a new starting point (4 in the release).
        loss: the matching loss (the paper's: cosine).
    """

    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(learning_rate=self.learning_rate)

    def with_weights(self, draw: Draw) -> Self:
        """These options with a learning rate and a weight of total variation that are drawn."""
        return replace(
            self,
            learning_rate=draw.log("learning_rate", 0.01, 1.0),
            total_variation=draw.log("total_variation", 1e-6, 0.3),
        )


@dataclass(frozen=True, kw_only=True)
class LatentOptions(StagedOptions):
    """Search of the latent alone: the first stage of GIFD, with which its later stages are compared.

    Fang et al., "GIFD", ICCV 2023, equation 4, with the settings of their release.

    Attributes:
        iterations: iterations of a restart.
    """

    iterations: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, iterations=self.iterations)

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        drawn = self.with_weights(draw)
        return replace(drawn, iterations=split(evaluations // self.restarts - 1, (1.0,))[0])

    def stages(self, prior_stages: tuple[str, ...]) -> tuple[Stage, ...]:
        return (Stage(prior_stages[0], self.iterations),)


@dataclass(frozen=True, kw_only=True)
class GIFDOptions(StagedOptions):
    """GIFD: the latent first, then each intermediate feature in turn, held in an l1 ball.

    Fang et al., "GIFD: a generative gradient inversion method with feature domain optimization", ICCV 2023,
    section 3.2 and algorithm 1.

    Attributes:
        iterations: iterations of every stage (1,000 in the paper), or one number for each stage.
        radii: radii of the l1 balls: `{per_entry: R}`, `{per_stage: [R, R, ...]}`, `{first: R, growth: G}`,
            or `None` to search without balls. The default is for the bundled prior, whose features have
            mean absolute values of 0.5 to 1.8; the paper's for BigGAN are about 0.06 an entry. Smaller
            balls cost quality on clean gradients and save it on noisy ones.
        latent_radii: radii for latents that a later stage searches too (StyleGAN2); `None` uses `radii`.
        noise_radii: radii for noise maps; `None` uses `radii`.
        sphere: whether to hold latents on the sphere of their start's norm, as the paper does; its release
            never does, because nothing reads its setting.
        starts: the number of latents to start from; the best of them continues (the paper: one).
        last_stage: the last stage that is searched (the paper's K); `None` for the prior's last.
    """

    iterations: int | tuple[int, ...] = 1000
    radii: Radii | None = PerEntry(1.0)
    latent_radii: Radii | None = None
    noise_radii: Radii | None = None
    sphere: bool = True
    starts: int = 1
    last_stage: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.iterations, int):
            object.__setattr__(self, "iterations", tuple(self.iterations))
        counts = (self.iterations,) if isinstance(self.iterations, int) else self.iterations
        at_least(1, iterations=min(counts, default=0), starts=self.starts)
        if self.last_stage is not None:
            at_least(0, last_stage=self.last_stage)

    def stages(self, prior_stages: tuple[str, ...]) -> tuple[Stage, ...]:
        last = len(prior_stages) - 1 if self.last_stage is None else self.last_stage
        if last >= len(prior_stages):
            raise BenchmarkError(f"last_stage is {last}, and the prior's last is {len(prior_stages) - 1}")
        counts = self.stage_iterations(last + 1)
        if len(counts) != last + 1:
            raise BenchmarkError(f"{len(counts)} numbers of iterations given for {last + 1} stages")
        for radii in (self.radii, self.latent_radii, self.noise_radii):
            if isinstance(radii, PerStage):
                radii.radius(last, entries=0)
        later = zip(prior_stages[1:], counts[1:], strict=False)
        return (
            Stage(prior_stages[0], counts[0], self.starts),
            *(Stage(name, iterations) for name, iterations in later),
        )

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        growth = draw.log("growth_of_iterations", 0.7, 3.0)
        last = len(prior_stages) - 1 if self.last_stage is None else self.last_stage
        starts = draw.whole("starts", 1, 4)
        weights = [growth**stage for stage in range(last + 1)]
        weights[0] *= starts
        first, *later = split(evaluations // self.restarts - 1, weights)
        return replace(
            self.with_weights(draw),
            iterations=(max(1, first // starts), *later),
            starts=starts if first >= starts else 1,
            radii=Growing(draw.log("radius", 0.05, 3.0), draw.log("growth_of_radii", 0.5, 2.0)),
        )

    def stage_iterations(self, stages: int) -> tuple[int, ...]:
        """The iterations of each of the prior's stages."""
        return (self.iterations,) * stages if isinstance(self.iterations, int) else self.iterations


@dataclass(frozen=True, kw_only=True)
class GIFDReleasedOptions(GIFDOptions):
    """GIFD as its published code computes it: the last restart is returned, and there is no sphere.

    Attributes:
        restarts: the number of searches from a new starting point (the release: 4).
        sphere: whether to hold latents on the sphere of their start's norm, which the release never does.
    """

    restarts: int = 4
    sphere: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep != "all":
            raise BenchmarkError(
                f"gifd_released returns the last restart; keep must be all, not {self.keep}"
            )


@dataclass(frozen=True, kw_only=True)
class GIFDPlusOptions(GIFDOptions):
    """GIFD on clean updates; on noisy ones, the weights of the generator and the mean of several restarts.

    It is ours, not the paper's. On a noisy update, `iterations` and `restarts` give the budget: the first
    number of iterations is that of the latent, and the weights take the sum of the others.

    Attributes:
        noisy: whether the update is taken for a noisy one; `None` if the known defenses say so.
        noisy_restarts: restarts over which the iterations of one are divided if the update is noisy; the
            answer is the mean of what they found.
        weight_learning_rate: learning rate of Adam for the weights, which are searched if the update is
            noisy; divided by ten after 3/8, 5/8 and 7/8 of the iterations.
    """

    noisy: bool | None = None
    noisy_restarts: int = 2
    weight_learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, noisy_restarts=self.noisy_restarts)
        positive(weight_learning_rate=self.weight_learning_rate)

    def stages(self, prior_stages: tuple[str, ...]) -> tuple[Stage, ...]:
        latent, *features = super().stages(prior_stages)
        if not self.noisy or not features:
            return (latent, *features)
        return (latent, Stage("weights", sum(stage.iterations for stage in features)))

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        return replace(
            super().tuned(draw, evaluations, prior_stages),
            noisy_restarts=draw.whole("noisy_restarts", 1, 4),
            weight_learning_rate=draw.log("weight_learning_rate", 1e-5, 1e-2),
        )

    def divided(self, prior_stages: tuple[str, ...]) -> Self:
        """The options for a noisy update: every restart becomes `noisy_restarts` shorter ones.

        They need no more gradient evaluations, including one for the mean of what the restarts found. If
        there are too few iterations for so many restarts, there are fewer restarts.
        """
        noisy = replace(self, noisy=True)
        latent, *features = (stage.iterations for stage in replace(self, noisy=False).stages(prior_stages))
        parts = min(self.noisy_restarts, latent, sum(features) // 2)
        if parts < 2:
            return noisy
        # Every restart has one more evaluation, after its last step.
        weights = (sum(features) - parts) // parts
        return replace(
            noisy, iterations=(latent // parts, weights), last_stage=1, restarts=parts * self.restarts
        )


@dataclass(frozen=True, kw_only=True)
class GIFDOODOptions(GIFDOptions):
    """GIFD for private images that are unlike those on which the prior was trained.

    Fang et al., "GIFD", ICCV 2023, section 4.3, attack images of other styles (PACS) with the same method.
    Several starting points, and iterations and radii that grow from stage to stage, are our additions.

    Attributes:
        iterations: iterations of a stage on average; each stage has `growth` times the iterations of the
            one before. Each starting point gets those of the first stage.
        growth: factor of the iterations from stage to stage, at least 1.
        starts: the number of latents and class embeddings to start from; the best of them continues.
        radii: radii of the l1 balls: `{per_entry: R}`, `{per_stage: [R, R, ...]}`, `{first: R, growth: G}`,
            or `None` to search without balls.
    """

    iterations: int = 1000
    growth: float = 1.6
    starts: int = 4
    radii: Radii | None = Growing(first=0.5, growth=1.6)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.growth < math.inf:
            raise BenchmarkError(f"growth must be at least 1, not {self.growth}")

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        # Its own division of the budget is part of the attack.
        drawn = replace(
            self.with_weights(draw),
            growth=draw.log("growth_of_iterations", 1.0, 3.0),
            starts=draw.whole("starts", 1, 8),
            radii=Growing(draw.log("radius", 0.05, 3.0), draw.log("growth_of_radii", 0.5, 2.0)),
        )
        iterations = (evaluations // self.restarts - 1) // len(prior_stages)
        while iterations > 1:
            of_it = replace(drawn, iterations=iterations)
            if of_it.total_evaluations(prior_stages) <= evaluations:
                return of_it
            iterations -= 1
        raise BenchmarkError(
            f"{evaluations} gradient evaluations are too few for {len(prior_stages)} stages"
        )

    def stage_iterations(self, stages: int) -> tuple[int, ...]:
        weights = [self.growth**stage for stage in range(stages)]
        unit = stages * self.iterations / (sum(weights) + (self.starts - 1) * weights[0])
        return tuple(max(1, round(unit * weight)) for weight in weights)
