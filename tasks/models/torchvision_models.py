"""Classifiers of torchvision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torchvision
from torch import nn

from gifd_bench.tasks.models.names import no_architecture
from gifd_bench.tasks.models.spec import sides

# What a family takes besides the number of classes. Transformers are made for one image size. The two
# Inception networks lose their auxiliary heads, which an evaluated model does not use; `transform_input`
# is the input range of their published weights.
_INCEPTION = {"aux_logits": False, "init_weights": True, "transform_input": True}
_FAMILIES: dict[str, Callable[[int | tuple[int, int]], dict[str, Any]]] = {
    "vit_": lambda size: {"image_size": size},
    "maxvit_": lambda size: {"input_size": sides(size)},
    "googlenet": lambda _: _INCEPTION,
    "inception_": lambda _: _INCEPTION,
}


def create(architecture: str, num_classes: int, image_size: int | tuple[int, int]) -> nn.Module:
    """The model, with random weights.

    Raises:
        TaskError: torchvision has no such architecture.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if architecture not in known:
        raise no_architecture("torchvision", architecture, known)
    families = (make for prefix, make in _FAMILIES.items() if architecture.startswith(prefix))
    arguments = next((make(image_size) for make in families), {})
    model: nn.Module = torchvision.models.get_model(
        architecture, weights=None, num_classes=num_classes, **arguments
    )
    return model
