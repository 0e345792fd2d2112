"""Pixels of images that are searched."""

from __future__ import annotations

import torch
from torch import Tensor


class _ValidPixels(torch.autograd.Function):
    """A clamp to [0, 1] whose gradient is the identity."""

    @staticmethod
    def forward(_: object, images: Tensor) -> Tensor:
        return images.clamp(0, 1)

    @staticmethod
    def backward(_: object, gradient: Tensor) -> Tensor:
        return gradient


def valid_pixels(images: Tensor) -> Tensor:
    """Images clamped to [0, 1], with the gradient of images that are not clamped.

    With the gradient of a clamp, a search would lose every saturated pixel for good.

    Args:
        images: of any shape.

    Returns:
        The same shape.
    """
    trimmed: Tensor = _ValidPixels.apply(images)
    return trimmed
