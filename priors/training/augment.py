"""Differentiable augmentation, for small training sets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def augment(images: Tensor) -> Tensor:
    """Change brightness, saturation and contrast, shift, and cut out, at random and independently by image.

    Shifts are up to an eighth of the side, and a quarter of the area is cut out. The result is
    differentiable in the images (Zhao et al., "Differentiable augmentation for data-efficient GAN
    training", NeurIPS 2020). Real and generated images must both be augmented.

    Args:
        images: (B, 3, S, S) in [-1, 1].

    Returns:
        Images of the same shape and range.
    """
    return _cut_out(_shift(_color(images)))


def _uniform(images: Tensor) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)


def _color(images: Tensor) -> Tensor:
    images = images + _uniform(images) - 0.5
    gray = images.mean(dim=1, keepdim=True)
    images = gray + (images - gray) * 2 * _uniform(images)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + _uniform(images))


def _shift(images: Tensor) -> Tensor:
    size = images.shape[-1]
    reach = size // 8
    offsets = torch.randint(2 * reach + 1, (2, len(images), 1), device=images.device)
    places = torch.arange(size, device=images.device)
    rows, columns = (offset + places for offset in offsets)
    padded = F.pad(images, (reach,) * 4)
    picked = padded.gather(2, rows[:, None, :, None].expand(-1, 3, -1, padded.shape[3]))
    return picked.gather(3, columns[:, None, None, :].expand(-1, 3, size, -1))


def _cut_out(images: Tensor) -> Tensor:
    size = images.shape[-1]
    side = size // 2
    corners = torch.randint(-side // 2, size - side // 2, (2, len(images), 1), device=images.device)
    places = torch.arange(size, device=images.device)
    rows, columns = ((places >= c) & (places < c + side) for c in corners)
    hole = rows[:, None, :, None] & columns[:, None, None, :]
    return images.masked_fill(hole, 0.0)
