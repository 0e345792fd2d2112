"""How a victim is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gifd_bench.tasks.errors import TaskError


@dataclass(frozen=True)
class VictimTraining:
    """Stochastic gradient descent with momentum and a cosine schedule.

    Attributes:
        epochs: passes over the training images.
        batch_size: images in a step; the last batch of an epoch is left out if it is not full.
        learning_rate: the learning rate of the first step; it falls to 0 over all steps.
        momentum: the momentum; 0 for plain gradient descent.
        weight_decay: factor of the l2 penalty.
        augment: whether to augment by random crops of the padded images, and mirroring.
        limit: train on this many images, drawn by `seed`; `None` for all.
        seed: the seed of the order of the images, and of everything random except the first weights.
    """

    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    augment: bool = True
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size, 1 if self.limit is None else self.limit) < 1:
            raise TaskError("training: epochs, batch_size and limit must be at least 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise TaskError(f"training: learning_rate must be a positive number, not {self.learning_rate}")
        if not (0 <= self.momentum < 1 and 0 <= self.weight_decay < math.inf and self.seed >= 0):
            raise TaskError("training: momentum must be in [0, 1), weight_decay and seed at least 0")
