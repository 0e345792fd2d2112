"""Victim models, by name.

Each is built as `model(num_classes=..., image_size=..., **options)` and takes normalised images.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from gifd_bench.tasks.models.convnet import ConvNet
from gifd_bench.tasks.models.custom import custom
from gifd_bench.tasks.models.lenet import LeNet
from gifd_bench.tasks.models.resnet_cifar import ResNetCIFAR
from gifd_bench.tasks.models.timm_models import timm_model
from gifd_bench.tasks.models.torchvision_models import torchvision_model

MODELS: dict[str, Callable[..., nn.Module]] = {
    "convnet": ConvNet,
    "custom": custom,
    "lenet": LeNet,
    "resnet_cifar": ResNetCIFAR,
    "timm": timm_model,
    "torchvision": torchvision_model,
}
