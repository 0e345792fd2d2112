"""Whether a model can be a victim of a dataset's images."""

from __future__ import annotations

import torch
from torch import Tensor

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec


def check_model(spec: ModelSpec) -> None:
    """Put one black image through the model, forth and back; too slow to be a part of `build`.

    Raises:
        TaskError: it does not take the image, its output is not (1, num_classes), or it has a parameter
            without a gradient.
    """
    model = spec.build()
    size = spec.image_size
    try:
        output = model(torch.zeros(1, 3, size, size))
    except Exception as error:  # Architectures fail in any way at a size they are not made for.
        detail = one_line(error)
        raise TaskError(f"model '{spec.name}' does not take {size}x{size} images: {detail}") from error
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != 1:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise TaskError(f"model '{spec.name}' gives {found} for one image, not (1, {spec.num_classes})")
    if output.shape[1] != spec.num_classes:
        raise TaskError(
            f"model '{spec.name}' gives {output.shape[1]} outputs for {spec.num_classes} classes"
        )
    parameters = dict(model.named_parameters())
    frozen = [name for name, parameter in parameters.items() if not parameter.requires_grad]
    if frozen:
        raise TaskError(f"model '{spec.name}': parameter '{frozen[0]}' is frozen (requires_grad is false)")
    gradients = torch.autograd.grad(output.sum(), list(parameters.values()), allow_unused=True)
    for name, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            raise TaskError(f"model '{spec.name}': the output does not depend on parameter '{name}'")
