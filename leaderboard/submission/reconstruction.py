"""The reconstruction of one observation, as a file of two tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.text import shown

MOST_BYTES = 64 << 20
IMAGE_TYPES = (torch.uint8, torch.float16, torch.float32, torch.float64)


@dataclass(frozen=True)
class SubmittedAnswer:
    """The reconstruction of one observation in a submission or an entry.

    Attributes:
        images: (B, 3, H, W) float32 in [0, 1].
        labels: (B,) int64, in the order of the images.
    """

    images: Tensor
    labels: Tensor


def read_answer(path: Path, images: int, size: int) -> SubmittedAnswer:
    """Read a file with `images`, uint8 or float in [0, 1], and `labels`, int64.

    The shapes are compared with the expected ones before anything is loaded.

    Args:
        path: a file that is not a link, and not too large.
        images: the expected number of images.
        size: their height and width in pixels.

    Raises:
        LeaderboardError: it holds anything else.
    """
    shapes = {"images": [images, 3, size, size], "labels": [images]}
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            if names != set(shapes):
                raise LeaderboardError(
                    f"{path}: tensors 'images' and 'labels' are expected, not {ascii(sorted(names))[:200]}"
                )
            for name, shape in shapes.items():
                found = list(file.get_slice(name).get_shape())
                if found != shape:
                    raise LeaderboardError(f"{path}: {name} of shape {found}, not {shape}")
            tensors = {name: file.get_tensor(name) for name in shapes}
    except LeaderboardError:
        raise
    # Besides its own error, the reader lets through what types and shapes that it does not know raise.
    except (
        SafetensorError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        OverflowError,
    ) as error:
        raise LeaderboardError(f"{path}: not a readable safetensors file ({shown(error, 200)})") from error
    if tensors["labels"].dtype != torch.int64 or int(tensors["labels"].min()) < 0:
        raise LeaderboardError(f"{path}: labels must be int64, at least 0")
    return SubmittedAnswer(_unit_range(tensors["images"], path), tensors["labels"].clone())


def _unit_range(images: Tensor, path: Path) -> Tensor:
    if images.dtype not in IMAGE_TYPES:
        raise LeaderboardError(f"{path}: images of type {images.dtype}; uint8 or float is expected")
    if images.dtype == torch.uint8:
        return images.float() / 255
    low, high = float(images.min()), float(images.max())
    # Also false for NaN.
    if not (low >= 0 and high <= 1):
        raise LeaderboardError(f"{path}: images in [{low:.3g}, {high:.3g}], not in [0, 1]")
    return images.float()
