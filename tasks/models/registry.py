"""The victim models by name.

Each is a class or a function that is called as `model(num_classes=..., image_size=..., image_channels=...,
**options)`, without those of the first three that it does not take, and returns a torch.nn.Module. The
module takes normalized images (B, C, H, W) and returns logits (B, num_classes), alone or in a tuple, a
mapping or an object with `logits`. Its random weights come from torch's global generator. `image_size` is a
number for square images, and a pair for others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gifd_bench.common.registry import Registry

if TYPE_CHECKING:
    from torch import nn

_HERE = "gifd_bench.tasks.models.bundled"

MODELS: Registry[Callable[..., nn.Module]] = Registry(
    "model",
    {
        "convnet": f"{_HERE}:convnet",
        "lenet": f"{_HERE}:lenet",
        "resnet_cifar": f"{_HERE}:resnet_cifar",
        "timm": f"{_HERE}:timm_model",
        "torchvision": f"{_HERE}:torchvision_model",
    },
)

# What a task tells a model; these are not options.
INPUTS = frozenset({"num_classes", "image_size", "image_channels"})
