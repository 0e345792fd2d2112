"""Victims of well-known families, small enough to judge candidates of in a moment."""

from __future__ import annotations

import torchvision
from torch import nn


def vgg(num_classes: int, image_size: int) -> nn.Module:
    """The layers of a VGG with BatchNorm and in-place ReLU, few and narrow, and a head with dropout."""
    features = torchvision.models.vgg.make_layers([8, "M", 12, 12, "M", 16], batch_norm=True)
    side = image_size // 4
    return nn.Sequential(
        features,
        nn.Flatten(),
        nn.Linear(16 * side * side, 24),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(24, num_classes),
    )


def mobilenet(num_classes: int) -> nn.Module:
    """A quarter of MobileNet v2: depthwise convolutions and in-place ReLU6."""
    model: nn.Module = torchvision.models.mobilenet_v2(num_classes=num_classes, width_mult=0.25)
    return model
