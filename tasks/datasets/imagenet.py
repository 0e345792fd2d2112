"""ImageNet (ILSVRC 2012)."""

from __future__ import annotations

from timm.data.imagenet_info import ImageNetInfo

from gifd_bench.tasks.datasets.labelled_files import FileDataset, read_class_folders
from gifd_bench.tasks.datasets.root import find_folder

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class ImageNet(FileDataset):
    """The validation images of ImageNet (ILSVRC 2012), or a sample of them, in folders named by WordNet id.

    Lies at `imagenet/val/<wnid>/`, else at `imagenet-samples/<wnid>/`. There are always 1000 classes in the
    usual order, whichever folders are there. They are named by WordNet id, because two of them are called
    "crane", and because that is how priors of ImageNet name theirs.

    Args:
        root: folder that holds either; without it, what the environment variable GIFD_BENCH_DATA names.
        size: side of an image in pixels; images are cropped to their centre squares and area-pooled.
    """

    mean = MEAN
    std = STD

    def __init__(self, root: str | None = None, size: int = 64) -> None:
        places = ("imagenet/val", "imagenet-samples")
        folder = find_folder("imagenet", root, places, "imagenet/val/<wnid>/<image>")
        wnids = tuple(ImageNetInfo().label_names())  # type: ignore[no-untyped-call]
        super().__init__("imagenet", read_class_folders("imagenet", folder, wnids), size)
