"""GradInversion (GI)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.base import Stage
from gifd_bench.benchmark.attacks.pixels import PixelSearch
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.batch_norm import BatchNormPenalty, never_updated
from gifd_bench.benchmark.inversion.group import consensus, group_distance
from gifd_bench.benchmark.inversion.labels.rules import LabelRule
from gifd_bench.benchmark.inversion.matching import Euclidean, MatchingLoss
from gifd_bench.benchmark.inversion.regularizers import image_norm, total_variation
from gifd_bench.benchmark.inversion.schedules import warm_up_and_cosine


class GI(PixelSearch):
    """GradInversion: a group of searches of pixels that keep to each other, held near natural images.

    Yin et al., "See through gradients: image batch recovery via GradInversion", CVPR 2021, section 3:
    Adam on the squared distance of the gradients, total variation, image norm and BatchNorm statistics
    (fidelity), and the distance of each member of the group from their consensus (section 3.4),
    with noise on every step (Langevin). The noise is added to Adam's step; on the gradient, where breaching
    adds it, its effect would depend on the size of the loss. The authors released no code: weights are
    those that the re-implementations agree on, and total variation, image norm and group distance are
    scaled as in the release of GIFD, whose group weight and start this has.

    Members start from seeds of their own and take their steps together. The consensus is their mean, after
    each was moved onto the plain mean by phase correlation: translation in place of the RANSAC-flow of
    the paper, a network trained for registration, which is absent here.

    Every member's evaluation counts, and each is a candidate: a group of G costs G evaluations an
    iteration, and the answer is the images of one member. The curve shows the best member.

    BatchNorm statistics are matched where the threat model grants some. With `bn_statistics: none`, for
    a victim without such layers, and where its running ones were never updated, that term is absent.

    Args:
        iterations: of a restart (20,000 in the re-implementation of breaching).
        learning_rate: of Adam, in normalised units; cosine decay.
        warm_up: iterations of linear warm-up.
        matching: weight of the matching loss; null for one over the number of parameter tensors, as in the
            release of GIFD (5e-5 in breaching, whose total variation is half of this one).
        total_variation: weight of the penalty on normalised images.
        image_norm: weight of the penalty on normalised images.
        batch_norm: weight of the distance of BatchNorm statistics.
        first_batch_norm: factor of the first BatchNorm layer's.
        group_size: searches that run together (4 in the release of GIFD).
        group: weight of the distance from the consensus.
        group_start: part of the iterations after which that is switched on (500 of 15,000 in the release of
            GIFD).
        registration: pixels that a member may be moved by to lie on the others; 0 for none.
        langevin: standard deviation of the noise that is added to each step, in units of the learning rate.
        loss: the matching loss; null for `Euclidean`.
        label_rule: the paper's is `row_minimum`.
        common: see `Attack`.
    """

    def __init__(
        self,
        iterations: int = 20_000,
        learning_rate: float = 0.1,
        warm_up: int = 50,
        matching: float | None = None,
        total_variation: float = 1e-4,
        image_norm: float = 1e-6,
        batch_norm: float = 0.1,
        first_batch_norm: float = 10.0,
        group_size: int = 4,
        group: float = 0.01,
        group_start: float = 0.033,
        registration: int = 2,
        langevin: float = 0.01,
        loss: MatchingLoss | None = None,
        label_rule: LabelRule = "row_minimum",
        **common: Any,
    ) -> None:
        super().__init__(loss or Euclidean(), label_rule=label_rule, **common)
        if min(iterations, group_size) < 1 or min(registration, warm_up) < 0:
            raise BenchmarkError(
                "gi: iterations and group_size must be at least 1, registration and warm_up at least 0, "
                f"not {iterations}, {group_size}, {registration} and {warm_up}"
            )
        self.steps = iterations
        self.learning_rate = learning_rate
        self.warm_up = warm_up
        self.matching_weight = matching
        self.tv_weight = total_variation
        self.norm_weight = image_norm
        self.bn_weight = batch_norm
        self.first_bn_factor = first_batch_norm
        self.group_size = group_size
        self.group_weight = group
        self.group_start = group_start
        self.registration = registration
        self.langevin = langevin

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("pixels", self.steps),)

    def prepare(self) -> None:
        given = self.matching_weight
        self.matching_scale = 1 / len(self.client.observed) if given is None else given
        statistics = self.observation.batch_norm_moments()
        self.batch_norm = (
            None
            if not statistics or never_updated(statistics)
            else BatchNormPenalty(self.client, statistics, self.first_bn_factor)
        )

    def begin(self, stage: int) -> Mapping[str, Tensor]:
        members = [super(GI, self).begin(stage)["inputs"] for _ in range(self.group_size)]
        return {"inputs": torch.stack(members)}

    def objective(self) -> tuple[Tensor, Tensor]:
        members = self.render()  # (G, B, 3, H, W): every member's images
        matching, objective = [], torch.zeros((), device=self.device)
        for images in members:
            matching.append(self.evaluate(images, self.targets()))
            objective = objective + self.matching_scale * matching[-1] + self.penalty(images)
        if self.progress.step >= self.group_start * self.steps:
            inputs = self.searched["inputs"]
            agreed = consensus(inputs.detach(), self.registration)
            objective = objective + self.group_weight * group_distance(inputs, agreed)
        return torch.stack(matching).min(), objective

    def penalty(self, images: Tensor) -> Tensor:
        inputs = self.client.normalise(images)
        fidelity = self.tv_weight * total_variation(inputs) + self.norm_weight * image_norm(inputs)
        if self.batch_norm is not None:
            fidelity = fidelity + self.bn_weight * self.batch_norm(images)
        return fidelity

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        adam = Adam(self.searched.values(), lr=self.learning_rate)
        adam.register_step_post_hook(self._explore)
        warm_up = max(self.warm_up, 1) / (stage.iterations + 1)
        return adam, warm_up_and_cosine(adam, stage.iterations, warm_up, ramp_down=1.0)

    def _explore(self, adam: Optimizer, *_: object) -> None:
        inputs = self.searched["inputs"].data
        noise = torch.randn(inputs.shape, generator=self.generator).to(self.device)
        inputs.add_(noise, alpha=self.langevin * adam.param_groups[0]["lr"])
