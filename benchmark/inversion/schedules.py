"""Schedules of the learning rate, as factors of the base rate."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, MultiStepLR


def three_drops(optimizer: Optimizer, iterations: int) -> MultiStepLR:
    """Divide the learning rate by ten after 3/8, 5/8 and 7/8 of the iterations.

    This is the schedule of the release of Geiping et al. (NeurIPS 2020).
    """
    milestones = [iterations * eighths // 8 for eighths in (3, 5, 7)]
    return MultiStepLR(optimizer, milestones, gamma=0.1)


def warm_up_and_cosine(
    optimizer: Optimizer, iterations: int, warm_up: float = 0.05, ramp_down: float = 0.75
) -> LambdaLR:
    """Linear warm-up over the first `warm_up` of a stage, cosine ramp-down over its last `ramp_down`.

    Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020, appendix D; GIFD's
    release keeps these fractions. Time runs over (0, 1) without both ends. The release starts at 0, where
    its first step has a learning rate of zero and wastes an evaluation.
    """

    def factor(step: int) -> float:
        time = (step + 1) / (iterations + 1)
        down = min(1.0, (1 - time) / ramp_down)
        return min(1.0, time / warm_up) * (0.5 - 0.5 * math.cos(math.pi * down))

    return LambdaLR(optimizer, factor)
