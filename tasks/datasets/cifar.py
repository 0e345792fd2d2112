"""CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import Tensor
from torchvision import datasets as torchvision_datasets

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.image_files import read_image, to_tensor
from gifd_bench.tasks.datasets.labelled_files import read_class_folders
from gifd_bench.tasks.datasets.root import data_root, find_folder
from gifd_bench.tasks.errors import TaskError

# fmt: off
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)

CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
    "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house",
    "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man",
    "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew",
    "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower",
    "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train", "trout",
    "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)
# fmt: on


class Cifar(Dataset):
    """The common part of CIFAR-10 and CIFAR-100: 32x32 images in the published archive, or as files.

    The archive is preferred where both are there. Its files are read by torchvision, which first compares
    their MD5 sums with those published.

    Args:
        split: `train` (50,000 images when complete) or `test` (10,000).
        root: the data folder; without it, what the environment variable GIFD_BENCH_DATA names.
        download: fetch the archive if it is not there.

    Raises:
        TaskError: the images are neither there nor to be downloaded, or damaged.
    """

    name: ClassVar[str]
    archive: ClassVar[Any]
    image_size = 32

    def __init__(
        self, split: Literal["train", "test"] = "test", root: str | None = None, download: bool = False
    ) -> None:
        unpacked = self.archive.base_folder
        layout = f"{self.name}/{unpacked}/ or {self.name}/{split}/<class>/<image>, or set download"
        base = data_root(self.name, root, layout) / self.name
        self._images: Sequence[Any]
        if download or (base / unpacked).is_dir():
            published = self._read_archive(base, split, download)
            self._images, self.labels = published.data, published.targets
        else:
            folder = find_folder(self.name, root, (f"{self.name}/{split}",), layout)
            files = read_class_folders(self.name, folder, self.class_names)
            self._images, self.labels = files.paths, files.labels

    def image(self, index: int) -> Tensor:
        item = self._images[index]
        return read_image(item, self.image_size) if isinstance(item, Path) else to_tensor(item)

    def _read_archive(self, base: Path, split: str, download: bool) -> Any:
        try:
            return self.archive(base, train=split == "train", download=download)
        except (RuntimeError, OSError) as error:
            unpacked = base / self.archive.base_folder
            advice = (
                "try again" if download else "delete it, and set the option download or unpack it again"
            )
            detail = one_line(error)
            raise TaskError(
                f"{self.name}: {unpacked} is damaged or incomplete: {advice} ({detail})"
            ) from error


class Cifar10(Cifar):
    """CIFAR-10 (Krizhevsky, 2009): 32x32 images of ten classes.

    Lies at `cifar10/cifar-10-batches-py/`, as published, or at `cifar10/<split>/<class>/`.
    """

    name = "cifar10"
    archive = torchvision_datasets.CIFAR10
    class_names = CIFAR10_CLASSES
    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2470, 0.2435, 0.2616)


class Cifar100(Cifar):
    """CIFAR-100 (Krizhevsky, 2009): 32x32 images of a hundred fine classes.

    Lies at `cifar100/cifar-100-python/`, as published, or at `cifar100/<split>/<class>/`.
    """

    name = "cifar100"
    archive = torchvision_datasets.CIFAR100
    class_names = CIFAR100_CLASSES
    mean = (0.5071, 0.4867, 0.4408)
    std = (0.2673, 0.2564, 0.2762)
