"""Options of the attacks without a generator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from typing_extensions import Self

from gifd_bench.benchmark.attacks.options import OneStageOptions, Stage, at_least, positive
from gifd_bench.benchmark.attacks.penalty_options import NaturalOptions, SmoothOptions
from gifd_bench.benchmark.attacks.search_space import Draw
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.choices import Distance, Matching
from gifd_bench.tasks.threat_model import ThreatModel


@dataclass(frozen=True, kw_only=True)
class IGOptions(OneStageOptions, SmoothOptions):
    """Inverting Gradients: searches pixels in a box, with cosine distance, signed Adam and total variation.

    Geiping et al., "Inverting gradients: how easy is it to break privacy in federated learning?", NeurIPS
    2020, equation 4. The defaults are those of the authors' release.

    Attributes:
        iterations: iterations of one restart (the paper's experiments use 4,800 to 24,000).
        learning_rate: learning rate of Adam, in normalized units; divided by ten after 3/8, 5/8 and 7/8 of
            the iterations.
        total_variation: weight of the penalty (1e-6 to 1e-1 in the release, depending on the experiment).
        restarts: the number of searches from a new starting point (1 to 8 in the release's experiments).
        loss: the matching loss (the paper's: cosine).
    """

    stage: ClassVar[str] = "pixels"

    iterations: int = 4800
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(learning_rate=self.learning_rate)

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        drawn = replace(
            self,
            learning_rate=draw.log("learning_rate", 0.01, 1.0),
            total_variation=draw.log("total_variation", 1e-6, 0.3),
        )
        return drawn.within(evaluations, prior_stages)


@dataclass(frozen=True, kw_only=True)
class DLGOptions(OneStageOptions):
    """Deep Leakage from Gradients: searches pixels and soft labels together, by L-BFGS.

    Zhu et al., "Deep leakage from gradients", NeurIPS 2019, algorithm 1.

    Attributes:
        iterations: calls of L-BFGS in a restart (300 in the authors' release).
        learning_rate: learning rate of L-BFGS.
        evaluations: the largest number of evaluations in one call, one for each inner step (20 in the
            authors' release).
        history: pairs that L-BFGS keeps (100 in the authors' release).
        label_rule: not used, because labels that are not granted are searched.
        loss: the matching loss (the paper's: euclidean).
    """

    stage: ClassVar[str] = "pixels"
    searches_labels: ClassVar[bool] = True

    iterations: int = 300
    learning_rate: float = 1.0
    evaluations: int = 20
    history: int = 100
    loss: Distance | Matching = "euclidean"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, evaluations=self.evaluations, history=self.history)
        positive(learning_rate=self.learning_rate)

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        drawn = replace(
            self,
            learning_rate=draw.log("learning_rate", 0.01, 2.0),
            evaluations=draw.whole("evaluations", 5, 40),
        )
        return drawn.within(evaluations, prior_stages)

    @property
    def at_once(self) -> int:
        """One: L-BFGS would treat all restarts as one search."""
        return 1

    def total_evaluations(self, prior_stages: tuple[str, ...]) -> int:
        """The largest number of gradient evaluations; a call of L-BFGS may end early.

        The clamped images of each call are evaluated in addition.

        Args:
            prior_stages: the names of the prior's stages; empty, because the attack has no prior.
        """
        return self.total_iterations(prior_stages) * (self.evaluations + 1) + self.restarts

    def unmet_labels(self, threat_model: ThreatModel, images: int, classes: int | None) -> str | None:
        if self.searches_labels:
            return None
        return super().unmet_labels(threat_model, images, classes)


@dataclass(frozen=True, kw_only=True)
class IDLGOptions(DLGOptions):
    """Improved Deep Leakage from Gradients: DLG, after the label was read from the last layer.

    Zhao et al., "iDLG: improved deep leakage from gradients", 2020, algorithm 1.

    Attributes:
        label_rule: how labels are inferred if they are not granted; `None` uses the paper's `idlg`, which
            is for a single image, and `counts` for more.
    """

    searches_labels: ClassVar[bool] = False

    label_rule: str | None = None


@dataclass(frozen=True, kw_only=True)
class GIOptions(OneStageOptions, NaturalOptions):
    """GradInversion: a group of searches of pixels that stay close to each other and to natural images.

    Yin et al., "See through gradients: image batch recovery via GradInversion", CVPR 2021, section 3. The
    authors released no code. The weights are those on which the re-implementations agree; total variation,
    image norm and group distance are scaled as in the release of GIFD, from which the weight and the start
    of the group distance are taken.

    Attributes:
        iterations: iterations of a restart (20,000 in the re-implementation of breaching).
        learning_rate: learning rate of Adam, in normalized units; cosine decay.
        warm_up: iterations of linear warm-up.
        matching: weight of the matching loss; `None` for one over the number of parameter tensors, as in
            the release of GIFD (5e-5 in breaching, whose total variation is half of this one).
        batch_norm: weight of the distance of BatchNorm statistics.
        first_batch_norm: factor of the distance for the first BatchNorm layer.
        group_size: searches that run together (4 in the release of GIFD).
        group: weight of the distance from the consensus.
        group_start: part of the iterations after which that distance is switched on (500 of 15,000 in the
            release of GIFD).
        registration: the largest number of pixels by which a member is moved to coincide with the others; 0
            for none.
        langevin: standard deviation of the noise that is added to each step, in units of the learning rate.
        label_rule: how labels are inferred if they are not granted (the paper's: row_minimum).
        loss: the matching loss (the paper's: euclidean).
    """

    stage: ClassVar[str] = "pixels"

    iterations: int = 20_000
    learning_rate: float = 0.1
    warm_up: int = 50
    matching: float | None = None
    batch_norm: float = 0.1
    first_batch_norm: float = 10.0
    group_size: int = 4
    group: float = 0.01
    group_start: float = 0.033
    registration: int = 2
    langevin: float = 0.01
    label_rule: str | None = "row_minimum"
    loss: Distance | Matching = "euclidean"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, group_size=self.group_size)
        at_least(
            0,
            warm_up=self.warm_up,
            batch_norm=self.batch_norm,
            first_batch_norm=self.first_batch_norm,
            group=self.group,
            registration=self.registration,
            langevin=self.langevin,
        )
        positive(learning_rate=self.learning_rate)
        if self.matching is not None:
            positive(matching=self.matching)
        if not 0 <= self.group_start <= 1:
            raise BenchmarkError(f"group_start must be from 0 to 1, not {self.group_start}")

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        drawn = replace(
            self,
            learning_rate=draw.log("learning_rate", 0.01, 1.0),
            total_variation=draw.log("total_variation", 1e-6, 0.3),
            batch_norm=draw.log("batch_norm", 1e-4, 1.0),
            group_size=draw.whole("group_size", 1, 4),
            group=draw.log("group", 1e-3, 1.0),
            langevin=draw.log("langevin", 1e-4, 0.1),
            # At most a tenth of the iterations, however few these are.
            warm_up=min(self.warm_up, max(1, evaluations // (10 * self.restarts))),
        )
        return drawn.within(evaluations, prior_stages)

    def stages(self, prior_stages: tuple[str, ...]) -> tuple[Stage, ...]:
        return (Stage(self.stage, self.iterations, self.group_size),)


@dataclass(frozen=True, kw_only=True)
class GIONOptions(OneStageOptions):
    """GION: searches the weights of an untrained, over-parameterized generator, with fixed latents.

    Zhang et al., "Generative gradient inversion via over-parameterized networks in federated learning",
    ICCV 2023. The defaults are those of the authors' release.

    Attributes:
        iterations: iterations of a restart (1,000 at 32x32 and 30,000 at 256x256 in the release).
        learning_rate: learning rate of Adam.
        weights_per_pixel: the network's width doubles, from 32 channels, until it has more weights than
            this for each pixel of the batch.
        loss: the matching loss (the paper's: cosine).
    """

    stage: ClassVar[str] = "weights"

    learning_rate: float = 1e-3
    weights_per_pixel: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(learning_rate=self.learning_rate, weights_per_pixel=self.weights_per_pixel)

    def tuned(self, draw: Draw, evaluations: int, prior_stages: tuple[str, ...]) -> Self:
        drawn = replace(
            self,
            learning_rate=draw.log("learning_rate", 1e-4, 1e-2),
            weights_per_pixel=draw.log("weights_per_pixel", 1.0, 16.0),
        )
        return drawn.within(evaluations, prior_stages)
