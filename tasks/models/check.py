"""Checks that a model can be a victim for a dataset's images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.gradient import loss_gradient
from gifd_bench.tasks.losses import LossFunction
from gifd_bench.tasks.models.second_derivatives import give_second_derivatives
from gifd_bench.tasks.models.spec import ModelSpec


def check_model(spec: ModelSpec) -> None:
    """Put an image through the model, forward and backward, and differentiate its gradient, as attacks do.

    This is too slow to be a part of `build`.

    Raises:
        TaskError: the model does not take the image, its output is not (1, num_classes), it has no trained
            parameter, or no second derivative.
    """
    model = spec.build()
    channels, height, width = spec.image_shape
    said = f"{height}x{width} images" + ("" if channels == 3 else f" of {channels} channels")
    try:
        give_second_derivatives(model, torch.zeros(1, *spec.image_shape))
        output = model(torch.zeros(1, *spec.image_shape))
    except Exception as error:  # Architectures fail in any way at a size they are not made for.
        detail = one_line(error)
        raise TaskError(f"model '{spec.name}' does not take {said}: {detail}") from error
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != 1:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise TaskError(f"model '{spec.name}' gives {found} for one image, not (1, {spec.num_classes})")
    if output.shape[1] != spec.num_classes:
        raise TaskError(
            f"model '{spec.name}' gives {output.shape[1]} outputs for {spec.num_classes} classes"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise TaskError(f"model '{spec.name}': all of its parameters are frozen (requires_grad is false)")
    if not output.requires_grad:
        raise TaskError(f"model '{spec.name}': the output does not depend on a parameter that is trained")
    check_second_derivative(model, spec.image_shape, 1, F.cross_entropy)


def check_second_derivative(
    victim: nn.Module, shape: tuple[int, int, int], images: int, loss: LossFunction
) -> None:
    """Compute the gradient for a batch of noise, and the derivative of that gradient in the images.

    Args:
        victim: a copy of the model, in the mode of the client; parameters in which the loss is
            differentiated are not frozen.
        shape: (C, H, W) of an image.
        images: the number of images in the batch.
        loss: a function of logits and labels.

    Raises:
        TaskError: the derivative cannot be computed, is zero, or is not finite.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(images, *shape, generator=generator).requires_grad_()
    try:
        labels = torch.zeros(images, dtype=torch.int64)
        gradients = loss_gradient(victim, inputs, labels, True, loss)
        energy = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
        (slope,) = torch.autograd.grad(energy, inputs)
    except TaskError:
        raise
    except Exception as error:  # Anybody's model and loss.
        raise TaskError(
            f"the gradient of this model cannot be differentiated, as an attack has to: "
            f"{type(error).__name__}: {one_line(error)[:300]}"
        ) from error
    if not bool(slope.isfinite().all()):
        raise TaskError("the second derivative of this model is not finite: no attack can follow it")
