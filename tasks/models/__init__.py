"""Victim models, by name.

Each is built as `model(num_classes=..., image_size=..., **options)` and takes normalised images.
"""

from __future__ import annotations

from torch import nn

from tasks.models.convnet import ConvNet
from tasks.models.spec import ModelSpec

MODELS: dict[str, type[nn.Module]] = {
    "convnet": ConvNet,
}

__all__ = ["MODELS", "ConvNet", "ModelSpec"]
