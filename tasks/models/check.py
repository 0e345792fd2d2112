"""Whether a model can be a victim of a dataset's images."""

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
    """Put an image through the model, forth and back, and differentiate its gradient, as attacks do; too
    slow to be a part of `build`.

    Raises:
        TaskError: it does not take the image, its output is not (1, num_classes), it has no parameter that
            is trained, or no second derivative.
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
    """One gradient of a batch of noise, and the gradient of that in the images.

    Args:
        victim: in the mode of the client; what is to be differentiated is not frozen. It is a copy.
        shape: of an image.
        images: in the batch.
        loss: of logits and labels.

    Raises:
        TaskError: it cannot be done, or gives zero or numbers that are not finite.
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
