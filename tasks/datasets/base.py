"""What a dataset is to a task."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Dataset(ABC):
    """Labelled images to draw targets from.

    Attributes:
        class_names: by label.
        image_size: side of the (square) images in pixels.
        mean, std: per channel, of images in [0, 1]; the victim sees (image - mean) / std.
    """

    class_names: tuple[str, ...]
    image_size: int
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)

    @abstractmethod
    def __len__(self) -> int:
        """How many images there are."""

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image, (3, S, S) float32 in [0, 1], and its label."""
