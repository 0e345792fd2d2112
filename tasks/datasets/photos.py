"""Real colour photographs that ship inside scikit-image and scikit-learn: nothing to download."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from tasks.datasets.base import Dataset
from tasks.errors import TaskError

# Name, which is also its class, and the file inside the package. scikit-image's are in the public
# domain or CC0 (see its skimage/data/README.txt); china and flower are CC-BY 2.0 (Edwin Chow and
# Wong Hon Chi; see sklearn/datasets/images/README.txt).
PHOTOGRAPHS: tuple[tuple[str, str, str], ...] = (
    ("astronaut", "skimage.data", "astronaut.png"),
    ("cat", "skimage.data", "chelsea.png"),
    ("coffee", "skimage.data", "coffee.png"),
    ("rocket", "skimage.data", "rocket.jpg"),
    ("motorcycle", "skimage.data", "motorcycle_left.png"),
    ("temple", "sklearn.datasets.images", "china.jpg"),
    ("flower", "sklearn.datasets.images", "flower.jpg"),
    ("galaxies", "skimage.data", "hubble_deep_field.jpg"),
    ("retina", "skimage.data", "retina.jpg"),
    ("tissue", "skimage.data", "ihc.png"),
)


class Photos(Dataset):
    """Ten photographs from Python packages, centre-cropped and area-pooled; each is its own class.

    Args:
        size: side of an image in pixels.
    """

    def __init__(self, size: int = 32) -> None:
        if not 8 <= size <= 256:
            raise TaskError(f"photos: size {size} is not between 8 and 256")
        self.image_size = size
        self.class_names = tuple(name for name, _, _ in PHOTOGRAPHS)

    def __len__(self) -> int:
        return len(PHOTOGRAPHS)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        square = _centre_square(index)
        image = F.interpolate(square[None], size=(self.image_size,) * 2, mode="area")[0]
        return image, index


@lru_cache(maxsize=len(PHOTOGRAPHS))
def _centre_square(index: int) -> Tensor:
    _, package, name = PHOTOGRAPHS[index]
    with (files(package) / name).open("rb") as file, Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    height, width, _ = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[top : top + side, left : left + side].transpose(2, 0, 1)
    return torch.from_numpy(square.astype(np.float32) / 255)
