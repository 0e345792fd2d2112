"""What a defense costs: the accuracy of a victim that is trained on defended gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytorch_lightning.callbacks import Callback

from gifd_bench.common.extras import ACCOUNTING
from gifd_bench.tasks.defenses.base import Defense
from gifd_bench.tasks.defenses.dp_sgd import DPSGD
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.training.images import VictimImages
from gifd_bench.tasks.training.settings import VictimTraining
from gifd_bench.tasks.training.train import accuracy, steps_per_epoch, train_victim


@dataclass(frozen=True)
class Utility:
    """What one defense leaves of the accuracy of a victim.

    Attributes:
        accuracy: the accuracy on held-out images; `None` if the model cannot be trained under this defense.
        epsilon: the epsilon of the (epsilon, delta)-differential privacy of the whole training, if DP-SGD
            is the only defense and adds noise. The accountant assumes Poisson sampling; the batches are
            consecutive pieces of a shuffled epoch, as in most implementations.
        delta: the delta that belongs to `epsilon`.
        reason: why there is no accuracy.
    """

    accuracy: float | None
    epsilon: float | None = None
    delta: float | None = None
    reason: str | None = None


def check_accountant(defenses: Iterable[Defense]) -> None:
    """Check that the epsilon of trainings under these defenses can be computed, before the first training.

    Raises:
        UserError: one of them is DP-SGD with noise, and Opacus is not installed.
    """
    if any(isinstance(defense, DPSGD) and defense.noise_multiplier > 0 for defense in defenses):
        ACCOUNTING.require("the epsilon of dp_sgd")


def measure_utility(
    spec: ModelSpec,
    train: VictimImages,
    held_out: VictimImages,
    defense: Defense,
    training: VictimTraining,
    seed: int,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Utility:
    """Train a victim under a defense and evaluate it. Two defenses get the same weights, batches and crops.

    Args:
        spec: the spec of the model, which is trained with its BatchNorm layers in training mode.
        train: the training images.
        held_out: the images for the evaluation.
        defense: the defense that is applied to the gradient of every step.
        training: how it is trained; momentum and weight decay are the server's, after the defense.
        seed: the seed of the random weights.
        progress: whether to show a bar.
        callbacks: callbacks for the Trainer; if one of them raises an exception, training ends, and the
            exception is raised.

    Raises:
        UserError: the defense has an epsilon, and Opacus is not installed.
    """
    check_accountant([defense])
    try:
        model = train_victim(spec, train, training, seed, defense, progress, callbacks)
    except TaskError as error:  # Such as DP-SGD and a BatchNorm layer: the other defenses go on.
        return Utility(None, reason=str(error))
    return Utility(accuracy(model, held_out), *_privacy(defense, training, len(train)))


def _privacy(defense: Defense, training: VictimTraining, images: int) -> tuple[float | None, float | None]:
    """The epsilon and delta of a training."""
    if not isinstance(defense, DPSGD):
        return None, None
    # The usual 1e-5 for 50,000 images.
    delta = 1 / (2 * images)
    rate = min(training.batch_size, images) / images
    steps = training.epochs * steps_per_epoch(training, images)
    epsilon = defense.epsilon(rate, steps, delta)
    return (epsilon, delta) if math.isfinite(epsilon) else (None, None)
