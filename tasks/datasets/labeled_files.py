"""Datasets whose images are files, and the layout with one folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.image_files import (
    check_size,
    damage_of,
    list_folders,
    list_images,
    read_image,
)
from gifd_bench.tasks.errors import TaskError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LabeledFiles:
    """Image files and their labels.

    Attributes:
        paths: the files of the images.
        labels: the labels of the images, in the same order.
        class_names: names of the classes, in the order of the labels.
    """

    paths: Sequence[Path]
    labels: Sequence[int]
    class_names: tuple[str, ...]


class FileDataset(Dataset):
    """A dataset of image files, each read when it is needed.

    Args:
        name: registered name of the dataset, for messages.
        files: the images.
        size: side of an image in pixels.
    """

    def __init__(self, name: str, files: LabeledFiles, size: int) -> None:
        check_size(name, size)
        self.paths = files.paths
        self.labels = files.labels
        self.class_names = files.class_names
        self.image_size = size

    def image(self, index: int) -> Tensor:
        return read_image(self.paths[index], self.image_size)

    def damage(self, index: int) -> str | None:
        return damage_of(self.paths[index])


def read_class_folders(dataset: str, folder: Path, classes: tuple[str, ...] | None = None) -> LabeledFiles:
    """List `folder/<class>/<image>`, by class and then by file name.

    Args:
        dataset: registered name, for messages.
        folder: a folder that holds one folder for each class.
        classes: in label order; some may have no folder. `None` takes the existing folders, sorted by name.

    Raises:
        TaskError: there are no folders, a folder is not a class, or a folder has no images.
    """
    folders = list_folders(folder, folder)
    if not folders:
        raise TaskError(f"{folder}: holds no folders: {dataset} needs one per class, with its images in it")
    names = classes or tuple(found.name for found in folders)
    label_of = {name: label for label, name in enumerate(names)}
    paths: dict[int, list[Path]] = {}
    for found in folders:
        if found.name not in label_of:
            raise TaskError(f"{found}: '{found.name}' is no class of {dataset}")
        images = list_images(found, folder)
        if not images:
            raise TaskError(f"{found}: holds no images of this class")
        paths[label_of[found.name]] = images
    ordered = sorted(paths)
    return LabeledFiles(
        paths=tuple(path for label in ordered for path in paths[label]),
        labels=tuple(label for label in ordered for _ in paths[label]),
        class_names=names,
    )
