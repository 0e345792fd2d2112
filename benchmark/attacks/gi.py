"""GradInversion (GI)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.attacks.pixel_options import GIOptions
from gifd_bench.benchmark.attacks.pixels import PixelSearch
from gifd_bench.benchmark.inversion.batch_norm import never_updated
from gifd_bench.benchmark.inversion.penalties import (
    BatchNormStatistics,
    GroupConsistency,
    ImageNorm,
    Penalty,
    TotalVariation,
)
from gifd_bench.benchmark.inversion.schedules import warm_up_and_cosine


class GI(PixelSearch):
    """GradInversion: a group of searches of pixels that stay close to each other and to natural images.

    Yin et al., "See through gradients: image batch recovery via GradInversion", CVPR 2021, section 3: Adam
    on the squared distance of the gradients, total variation, image norm and BatchNorm statistics
    (fidelity), and the distance of each member of the group from their consensus (section 3.4), with noise
    in every step (Langevin). The noise is added to Adam's step. On the gradient, where breaching adds it,
    its effect would depend on the size of the loss. The authors released no code. The weights are those on
    which the re-implementations agree; total variation, image norm and group distance are scaled as in the
    release of GIFD, from which the weight and the start of the group distance are taken.

    The members start from seeds of their own and take their steps together. The consensus is their mean,
    after each was moved onto the plain mean by phase correlation. This translation takes the place of the
    paper's RANSAC-flow, a network that was trained for registration.

    Every evaluation of a member counts, and each is a candidate: a group of G costs G evaluations in each
    iteration, and the answer is the images of one member. The curve shows the best member.

    BatchNorm statistics are matched if the threat model grants any. That term is absent with
    `bn_statistics: none`, for a victim without such layers, and if its running statistics were never
    updated.
    """

    Options: ClassVar[type[GIOptions]] = GIOptions
    packs: ClassVar[bool] = True
    options: GIOptions

    def prepare(self) -> None:
        given = self.options.matching
        self.matching_scale = 1 / len(self.client.observed) if given is None else given

    def objective(self) -> tuple[Tensor, Tensor]:
        images = self.render(self.search)
        matching = self.evaluate(images, self.targets(self.search))
        return matching, self.matching_scale * matching + self.penalty(images)

    def penalties(self) -> list[Penalty]:
        options = self.options
        found: list[Penalty] = [TotalVariation(options.total_variation), ImageNorm(options.image_norm)]
        expected = self.batch_norm_moments
        if options.batch_norm and expected and not never_updated(expected):
            weight, first = options.batch_norm, options.first_batch_norm
            found.append(BatchNormStatistics(weight, first, expected, self.client, self.judge.victim))
        start = options.group_start * options.iterations
        group = GroupConsistency(options.group, "inputs", options.group_size, options.registration, start)
        return [*found, group]

    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        adam = Adam(self.parameters_searched(), lr=self.options.learning_rate)
        adam.register_step_post_hook(self._explore)
        warm_up = max(self.options.warm_up, 1) / (stage.iterations + 1)
        return adam, warm_up_and_cosine(adam, stage.iterations, warm_up, ramp_down=1.0)

    def _explore(self, adam: Optimizer, *_: object) -> None:
        inputs = self.search.searched["inputs"].data
        shape = inputs.shape[1:]
        drawn = [torch.randn(shape, generator=lane.draw("langevin")) for lane in self.course.lanes()]
        noise = torch.stack(drawn).to(self.device)
        inputs.add_(noise, alpha=self.options.langevin * adam.param_groups[0]["lr"])
