"""FFHQ: faces, classified by age."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from gifd_bench.tasks.datasets.cifar import Cifar10
from gifd_bench.tasks.datasets.image_files import list_folders, list_images
from gifd_bench.tasks.datasets.labeled_files import FileDataset, LabeledFiles
from gifd_bench.tasks.datasets.root import find_folder
from gifd_bench.tasks.errors import TaskError

DECADES = (*(f"{10 * k} to {10 * k + 9} years" for k in range(9)), "90 years and more")


class FFHQ(FileDataset):
    """Thumbnails of Flickr-Faces-HQ (Karras et al., CVPR 2019); the class is the decade of the age.

    The images are at `ffhq/thumbnails128x128/`, in that folder or one level below it. The ages, as
    estimated by ffhq-features-dataset, are at `ffhq/json/NNNNN.json`. The victim normalizes images as for
    CIFAR-10, as in the release of GIFD (Fang et al., ICCV 2023).

    Args:
        root: the folder that holds `ffhq`; by default, the one that the environment variable
            GIFD_BENCH_DATA names.
        size: side of an image in pixels; images are area-pooled to it.
    """

    class_names = DECADES
    mean = Cifar10.mean
    std = Cifar10.std

    def __init__(self, root: str | None = None, size: int = 64) -> None:
        layout = "ffhq/thumbnails128x128/ with the images and ffhq/json/ with a NNNNN.json for each"
        folder = find_folder("ffhq", root, ("ffhq/thumbnails128x128",), layout)
        features = find_folder("ffhq", root, ("ffhq/json",), layout)
        images = list_images(folder, folder)
        for below in list_folders(folder, folder):
            images.extend(list_images(below, folder))
        if not images:
            raise TaskError(f"{folder}: holds no images")
        images.sort(key=lambda path: (path.name, path))
        labels = AgeLabels([features / f"{path.stem}.json" for path in images])
        super().__init__("ffhq", LabeledFiles(images, labels, DECADES), size)


class AgeLabels(Sequence[int]):
    """The age classes of images, each read when it is first needed.

    The published features lack the ages of some images, in which no face was found. Such an image is an
    error if it is used; the other images can be used all the same.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._known: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> list[int]: ...

    def __getitem__(self, index: int | slice) -> int | list[int]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index not in self._known:
            self._known[index] = age_class(self._files[index])
        return self._known[index]


def age_class(features: Path) -> int:
    """The decade of the age of the first face in a features file, from 0 to 9; 9 is 90 and above.

    Raises:
        TaskError: there is no such file, no face in it, or no age.
    """
    try:
        faces = json.loads(features.read_text(encoding="utf-8"))
    except OSError as error:
        raise TaskError(f"{features}: the label of this image is missing ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise TaskError(f"{features}: not JSON, so the label of this image is missing") from error
    try:
        age = faces[0]["faceAttributes"]["age"]
    except (LookupError, TypeError) as error:
        raise TaskError(f"{features}: no face with an age in it; leave the image out") from error
    if not isinstance(age, int | float) or isinstance(age, bool) or not 0 <= age < math.inf:
        raise TaskError(f"{features}: {json.dumps(age)[:40]} is no age")
    return min(int(age) // 10, len(DECADES) - 1)
