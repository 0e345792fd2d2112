"""Checks, when an observation is made, that an attack could read anything from it."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import Tensor, nn

from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.check import check_second_derivative
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.training_mode import prepare


def check_readable(observation: Observation) -> None:
    """Check that the update is informative, and that the victim's gradient can be differentiated.

    Raises:
        TaskError: the update is zero or not finite, or the victim does not take its images or has no second
            derivative.
    """
    check_numbers(observation)
    client = observation.client or ClientSettings()
    victim = copy.deepcopy(observation.victim())
    prepare(victim, ClientSettings(batch_norm=client.batch_norm))
    sent = observation.update
    for name, parameter in victim.named_parameters():
        parameter.requires_grad_(name in sent)
    # Two images stand for more.
    images = min(2, max(1, observation.batch_size // client.clients))
    check_second_derivative(victim, observation.model.image_shape, images, client.loss.function())


def check_differentiable(victim: nn.Module, client: ClientSettings, shape: tuple[int, int, int]) -> None:
    """Check that the gradient of a client can be differentiated, in the client's mode and for its loss.

    Args:
        victim: the model, which is left as it is.
        client: the client's settings, of which dropout is left out.
        shape: (C, H, W) of an image.

    Raises:
        TaskError: it cannot be differentiated.
    """
    own = copy.deepcopy(victim)
    prepare(own, replace(client, dropout="eval"))
    check_second_derivative(own, shape, 2, client.loss.function())


def check_images(images: Tensor, shape: tuple[int, int, int]) -> None:
    """Check private images before a client trains on them.

    Args:
        images: (B, C, H, W), the images of a batch.
        shape: (C, H, W), which the victim takes.

    Raises:
        TaskError: they have another shape, or are not finite.
    """
    if images.ndim != 4 or tuple(images.shape[1:]) != shape:
        raise TaskError(
            f"the dataset gives images of shape {tuple(images.shape[1:])}, and the victim takes {shape}"
        )
    if not bool(images.isfinite().all()):
        raise TaskError("the dataset gives an image that is not finite (NaN or infinity)")


def check_numbers(observation: Observation) -> None:
    """Check that the update and the weights are finite, and that the update is not zero.

    Raises:
        TaskError: they are not; the message names a parameter.
    """
    for what, tensors in (("update", observation.update), ("weights", observation.weights)):
        for name, value in tensors.items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                cure = (
                    "a mixed-precision step that overflowed? The scaler skips such a step, and so should "
                    "the capture"
                    if what == "update"
                    else "the training has diverged"
                )
                raise TaskError(f"the {what} of '{name}' is not finite (NaN or infinity): {cure}")
    if not any(bool(value.any()) for value in observation.update.values()):
        raise TaskError(
            "the update is zero in every parameter: was it read after zero_grad, or before backward?"
        )
