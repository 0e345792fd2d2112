"""PACS: the same seven classes in four styles, of which only one is photographs."""

from __future__ import annotations

from typing import Literal

from gifd_bench.tasks.datasets.imagenet import MEAN, STD
from gifd_bench.tasks.datasets.labeled_files import FileDataset, read_class_folders
from gifd_bench.tasks.datasets.root import find_folder

CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")


class PACS(FileDataset):
    """PACS (Li et al., ICCV 2017): images that differ from those on which a prior was trained.

    The images are at `pacs/<domain>/<class>/`. The victim normalizes them as for ImageNet, as in the
    release of GIFD (Fang et al., ICCV 2023).

    Args:
        domain: the style.
        root: the folder that holds `pacs`; by default, the one that the environment variable
            GIFD_BENCH_DATA names.
        size: side of an image in pixels; images are cropped to their center squares and area-pooled.
    """

    class_names = CLASSES
    mean = MEAN
    std = STD

    def __init__(
        self,
        domain: Literal["art_painting", "cartoon", "photo", "sketch"] = "photo",
        root: str | None = None,
        size: int = 64,
    ) -> None:
        place = f"pacs/{domain}"
        folder = find_folder("pacs", root, (place,), f"{place}/<class>/<image>")
        super().__init__("pacs", read_class_folders("pacs", folder, CLASSES), size)
