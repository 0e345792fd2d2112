"""ImageNet (ILSVRC 2012)."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.datasets.labeled_files import FileDataset, read_class_folders
from gifd_bench.tasks.datasets.root import find_folder
from gifd_bench.tasks.errors import TaskError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class ImageNet(FileDataset):
    """The validation images of ImageNet (ILSVRC 2012), or a sample of them, in folders named by WordNet id.

    The images are at `imagenet/val/<wnid>/`, or else at `imagenet-samples/<wnid>/`. There are always 1000
    classes in the usual order, whichever folders exist. They are named by WordNet id, because two of them
    are called "crane", and because priors of ImageNet name their classes in the same way.

    Args:
        root: the folder that holds either; by default, the one that the environment variable
            GIFD_BENCH_DATA names.
        size: side of an image in pixels; images are cropped to their center squares and area-pooled.
    """

    mean = MEAN
    std = STD

    def __init__(self, root: str | None = None, size: int = 64) -> None:
        places = ("imagenet/val", "imagenet-samples")
        folder = find_folder("imagenet", root, places, "imagenet/val/<wnid>/<image>")
        super().__init__("imagenet", read_class_folders("imagenet", folder, class_ids()), size)


@cache
def class_ids() -> tuple[str, ...]:
    """The WordNet ids of the 1000 classes in the usual order, from a list in the package timm.

    The package itself is not imported for this, because it would import torch.

    Raises:
        TaskError: this version of timm has no such list.
    """
    try:
        file = distribution("timm").locate_file("timm/data/_info/imagenet_synsets.txt")
        return tuple(Path(str(file)).read_text(encoding="utf-8").split())
    except (PackageNotFoundError, OSError) as error:
        raise TaskError(f"imagenet: timm has no list of the classes ({one_line(error)})") from error
