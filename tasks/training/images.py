"""The images with which a victim is trained or evaluated, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.progress import track
from torch import Tensor
from torch.utils import data

from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.errors import TaskError


@dataclass(frozen=True)
class VictimImages(data.Dataset[Any]):
    """Images of one size. An index is a list of indices or a slice, and gives a batch.

    Attributes:
        pixels: (N, 3, S, S) uint8.
        labels: (N,) int64.
        mean, std: the normalization of pixels in [0, 1], (3, 1, 1).
    """

    pixels: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Sequence[int] | slice) -> tuple[Tensor, Tensor]:
        return self.pixels[indices], self.labels[indices]


def normalize(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """What the victim sees of uint8 pixels: float32, on the device of all three arguments."""
    return (pixels / 255 - mean) / std


def load_images(
    dataset: Dataset, limit: int | None = None, seed: int = 0, progress: bool = False
) -> VictimImages:
    """Read a dataset into memory, rounded to 8 bits for each channel.

    Args:
        dataset: a dataset of images of one size.
        limit: the number of images to read, drawn at random; `None` for all.
        seed: the seed of the draw.
        progress: whether to show a bar.

    Raises:
        TaskError: there are no images, or one cannot be read.
    """
    total = len(dataset)
    if total == 0:
        raise TaskError("the dataset has no images")
    indices = torch.arange(total)
    if limit is not None and limit < total:
        indices = torch.randperm(total, generator=torch.Generator().manual_seed(seed))[:limit].sort().values
    size = dataset.image_size
    pixels = torch.empty(len(indices), 3, size, size, dtype=torch.uint8)
    rows = track(indices.tolist(), "reading images", transient=True, disable=not progress)
    for row, index in enumerate(rows):
        pixels[row] = (dataset.image(index) * 255).round().to(torch.uint8)
    labels = torch.tensor([int(dataset.labels[index]) for index in indices.tolist()])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (dataset.mean, dataset.std))
    return VictimImages(pixels, labels, mean, std)
