"""Classifiers of timm (PyTorch Image Models)."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from gifd_bench.tasks.models.names import no_architecture


def create(
    architecture: str,
    num_classes: int,
    image_size: int | tuple[int, int],
    pretrained: bool = False,
    channels: int = 3,
) -> nn.Module:
    """The model, with published weights if they are asked for.

    Raises:
        TaskError: timm has no such architecture.
    """
    # Names such as hf-hub:owner/name, which would be fetched, are not registered.
    if not timm.is_model(architecture):
        raise no_architecture("timm", architecture, timm.list_models())
    config = timm.get_pretrained_cfg(architecture)
    fixed = config is not None and config.fixed_input_size
    size: dict[str, Any] = {"img_size": image_size} if fixed else {}
    given: dict[str, Any] = {} if channels == 3 else {"in_chans": channels}
    return timm.create_model(architecture, pretrained=pretrained, num_classes=num_classes, **size, **given)
