"""Registration of images by translation."""

from __future__ import annotations

import torch
from torch import Tensor


def translations(images: Tensor, target: Tensor, most: int) -> Tensor:
    """How far to move each image so that it coincides best with its target.

    This is phase correlation (Kuglin and Hines, "The phase correlation image alignment method", IEEE
    Cybernetics and Society 1975), summed over channels, for moves around the edge. Everything stays on the
    images' device.

    Args:
        images: (..., C, H, W).
        target: the same shape.
        most: the largest move in pixels in either direction, below half the side.

    Returns:
        (..., 2) int64, pixels down and right.
    """
    height, width = images.shape[-2:]
    cross = torch.fft.rfft2(target) * torch.fft.rfft2(images).conj()
    phase = cross / cross.abs().clamp(min=torch.finfo(images.dtype).tiny)
    correlation = torch.fft.irfft2(phase, s=(height, width)).sum(dim=-3)
    # The moves -most .. most, which lie at both ends of each axis.
    moves = torch.arange(-most, most + 1, device=images.device)
    near = correlation[..., moves % height, :][..., moves % width]
    best = near.flatten(-2).argmax(dim=-1)
    return torch.stack([moves[best // len(moves)], moves[best % len(moves)]], dim=-1)


def translate(images: Tensor, moves: Tensor) -> Tensor:
    """Move each image around the edge.

    Args:
        images: (..., C, H, W).
        moves: (..., 2) int64, down and right.
    """
    height, width = images.shape[-2:]
    rows = (torch.arange(height, device=images.device) - moves[..., :1]) % height
    columns = (torch.arange(width, device=images.device) - moves[..., 1:]) % width
    moved = images.gather(-2, rows[..., None, :, None].expand(images.shape))
    return moved.gather(-1, columns[..., None, None, :].expand(images.shape))
