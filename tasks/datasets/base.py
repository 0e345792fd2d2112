"""The interface of all datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

# Commands that must start at once build datasets to know their labels; torch is for their images.
if TYPE_CHECKING:
    from torch import Tensor


class Dataset(ABC):
    """Labeled images, from which targets are drawn.

    Attributes:
        class_names: names of the classes, in the order of the labels.
        image_size: side of the (square) images in pixels.
        labels: the label of every image, known without reading the image.
        mean, std: normalization per channel, for images in [0, 1]; the victim sees (image - mean) / std.
    """

    class_names: tuple[str, ...]
    image_size: int
    labels: Sequence[int]
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)

    @abstractmethod
    def image(self, index: int) -> Tensor:
        """Read one image.

        Args:
            index: the number of the image, from 0.

        Returns:
            (3, S, S) float32 in [0, 1].

        Raises:
            TaskError: its file is not an image.
        """

    def damage(self, index: int) -> str | None:
        """Why an image cannot be read, in one line; `None` if it can, or if only `image` would show that.

        Unlike `image`, this method does not need torch, so commands that must start quickly can call it.
        """
        return None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image and its label."""
        return self.image(index), self.labels[index]
