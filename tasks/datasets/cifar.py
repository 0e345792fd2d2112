"""CIFAR-10 and CIFAR-100."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.image_files import damage_of, read_image, to_tensor
from gifd_bench.tasks.datasets.labeled_files import read_class_folders
from gifd_bench.tasks.datasets.root import data_root, find_folder
from gifd_bench.tasks.errors import TaskError

# torch and torchvision are for images and for downloads: commands that must start at once read labels only.
if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

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


@dataclass(frozen=True)
class Archive:
    """A published archive, unpacked.

    Attributes:
        folder: the name of its folder.
        files: names and published MD5 sums of the files of each split, in order.
        labels: the key of the labels in each file.
    """

    folder: str
    files: Mapping[str, Sequence[tuple[str, str]]]
    labels: str

    def read(self, parent: Path, split: str) -> tuple[npt.NDArray[np.uint8], list[int]]:
        """The images of a split, (N, 32, 32, 3), and their labels.

        Raises:
            TaskError: a file is missing, or differs from the published one.
        """
        images, labels = [], []
        for name, published in self.files[split]:
            path = parent / self.folder / name
            try:
                content = path.read_bytes()
            except OSError as error:
                raise TaskError(f"{name} cannot be read ({error.strerror})") from error
            # Unpickling runs code: only the published bytes are.
            if hashlib.md5(content, usedforsecurity=False).hexdigest() != published:
                raise TaskError(f"{name} has not the published MD5 sum")
            entries = pickle.loads(content, encoding="latin1")
            images.append(entries["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels.extend(entries[self.labels])
        return np.concatenate(images), labels


class Cifar(Dataset):
    """The common part of CIFAR-10 and CIFAR-100: 32x32 images in the published archive, or as files.

    If both are there, the archive is used. Its files are read only after their MD5 sums have been found to
    be the published ones.

    Args:
        split: `train` (50,000 images when complete) or `test` (10,000).
        root: the data folder; by default, the one that the environment variable GIFD_BENCH_DATA names.
        download: whether to download the archive if it is missing.

    Raises:
        TaskError: the images are damaged, or missing and not downloaded.
    """

    name: ClassVar[str]
    archive: ClassVar[Archive]
    image_size = 32

    def __init__(
        self, split: Literal["train", "test"] = "test", root: str | None = None, download: bool = False
    ) -> None:
        unpacked = self.archive.folder
        layout = f"{self.name}/{unpacked}/ or {self.name}/{split}/<class>/<image>, or set download"
        base = data_root(self.name, root, layout) / self.name
        self._images: Sequence[Path] | npt.NDArray[np.uint8]
        if download or (base / unpacked).is_dir():
            self._images, self.labels = self._read_archive(base, split, download)
        else:
            folder = find_folder(self.name, root, (f"{self.name}/{split}",), layout)
            files = read_class_folders(self.name, folder, self.class_names)
            self._images, self.labels = files.paths, files.labels

    def image(self, index: int) -> Tensor:
        item = self._images[index]
        return read_image(item, self.image_size) if isinstance(item, Path) else to_tensor(item)

    def damage(self, index: int) -> str | None:
        # The archive was read whole, and its sums are right.
        item = self._images[index]
        return damage_of(item) if isinstance(item, Path) else None

    def _read_archive(
        self, base: Path, split: str, download: bool
    ) -> tuple[npt.NDArray[np.uint8], list[int]]:
        try:
            if download:
                self._download(base)
            return self.archive.read(base, split)
        except (RuntimeError, OSError, TaskError) as error:
            unpacked = base / self.archive.folder
            advice = (
                "try again" if download else "delete it, and set the option download or unpack it again"
            )
            detail = one_line(error)
            raise TaskError(
                f"{self.name}: {unpacked} is damaged or incomplete: {advice} ({detail})"
            ) from error

    def _download(self, base: Path) -> None:
        """Download and unpack the archive, unless it is there and complete."""
        from torchvision import datasets

        published: dict[str, Any] = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}
        published[self.name](base, download=True)


class Cifar10(Cifar):
    """CIFAR-10 (Krizhevsky, 2009): 32x32 images of ten classes.

    The images are at `cifar10/cifar-10-batches-py/`, as published, or at `cifar10/<split>/<class>/`.
    """

    name = "cifar10"
    archive = Archive(
        "cifar-10-batches-py",
        {
            "train": (
                ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                ("data_batch_4", "634d18415352ddfa80567beed471001a"),
                ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
            ),
            "test": (("test_batch", "40351d587109b95175f43aff81a1287e"),),
        },
        "labels",
    )
    class_names = CIFAR10_CLASSES
    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2470, 0.2435, 0.2616)


class Cifar100(Cifar):
    """CIFAR-100 (Krizhevsky, 2009): 32x32 images of a hundred fine classes.

    The images are at `cifar100/cifar-100-python/`, as published, or at `cifar100/<split>/<class>/`.
    """

    name = "cifar100"
    archive = Archive(
        "cifar-100-python",
        {
            "train": (("train", "16019d7e3df5f24257cddd939b257f8d"),),
            "test": (("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),),
        },
        "fine_labels",
    )
    class_names = CIFAR100_CLASSES
    mean = (0.5071, 0.4867, 0.4408)
    std = (0.2673, 0.2564, 0.2762)
