"""Real color photographs that scikit-image and scikit-learn contain: nothing is downloaded."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.image_files import center_square, check_size, to_tensor

# What an image needs is imported when one is read: commands that must start at once read labels only.
if TYPE_CHECKING:
    from torch import Tensor

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
    """Ten photographs from Python packages, center-cropped and area-pooled; each is its own class.

    Args:
        size: side of an image in pixels.
    """

    class_names = tuple(name for name, _, _ in PHOTOGRAPHS)

    def __init__(self, size: int = 32) -> None:
        check_size("photos", size)
        self.image_size = size
        self.labels = range(len(PHOTOGRAPHS))

    def image(self, index: int) -> Tensor:
        from torch.nn import functional as F

        square = _center_square(index)
        return F.interpolate(square[None], size=(self.image_size,) * 2, mode="area")[0]


@lru_cache(maxsize=len(PHOTOGRAPHS))
def _center_square(index: int) -> Tensor:
    import numpy as np
    from PIL import Image

    _, package, name = PHOTOGRAPHS[index]
    with (files(package) / name).open("rb") as file, Image.open(file) as image:
        return to_tensor(np.asarray(center_square(image.convert("RGB"))))
