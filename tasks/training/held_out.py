"""Holding images back from training."""

from __future__ import annotations

import torch
from torch import Tensor

from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.errors import TaskError


class Part(Dataset):
    """Some images of a dataset.

    Args:
        whole: the dataset.
        indices: indices into the whole dataset, in the order of this one.
    """

    def __init__(self, whole: Dataset, indices: list[int]) -> None:
        self._whole, self._indices = whole, indices
        self.class_names, self.image_size = whole.class_names, whole.image_size
        self.mean, self.std = whole.mean, whole.std
        self.labels = [whole.labels[index] for index in indices]

    def image(self, index: int) -> Tensor:
        return self._whole.image(self._indices[index])


def hold_back(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Split a dataset at random.

    Args:
        dataset: a dataset of at least two images.
        share: the share of the images to hold back, in (0, 1); at least one is held back, and not all.
        seed: the seed of the draw.

    Returns:
        The images to train on, and the images that are held back.

    Raises:
        TaskError: it has fewer than two images.
    """
    count = len(dataset)
    if count < 2:
        raise TaskError(f"{count} images are too few to hold some of them back")
    held_back = min(max(1, round(share * count)), count - 1)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return Part(dataset, sorted(order[held_back:])), Part(dataset, sorted(order[:held_back]))
