"""What every dataset promises, one function for each promise; its docstring says what it checks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import patch

import torch

from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.tasks.datasets.base import Dataset

# At most this many images of a dataset are looked at.
MOST = 16


@dataclass(frozen=True)
class DatasetSubject:
    """A dataset under test.

    Attributes:
        make: reads it anew.
    """

    make: Callable[[], Dataset]


def knows_its_labels_without_reading_an_image(subject: DatasetSubject) -> None:
    """Labels and class names are known without reading an image.

    The labels are those that come with the images.
    """

    def read(_: Dataset, index: int) -> torch.Tensor:
        raise Broken(f"image {index} was read to know the labels")

    with patch.object(type(subject.make()), "image", read):
        dataset = subject.make()
        labels = {index: int(dataset.labels[index]) for index in _some(dataset)}
        names = dataset.class_names
    for index, label in labels.items():
        found = int(dataset[index][1])
        if found != label:
            raise Broken(f"image {index} comes with label {found}, but its label is {label}")
    if subject.make().class_names != names:
        raise Broken("class names differ from one reading to the next")


def has_a_class_for_every_label(subject: DatasetSubject) -> None:
    """There are images, and each label is a whole number from 0 with a class name of its own."""
    dataset = subject.make()
    if len(dataset) != len(dataset.labels) or not len(dataset):
        raise Broken(f"{len(dataset)} images with {len(dataset.labels)} labels")
    names = dataset.class_names
    if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise Broken("class names are not different texts")
    for index in _some(dataset):
        label = dataset.labels[index]
        if not isinstance(label, int) or not 0 <= label < len(names):
            raise Broken(f"label {label!r} of image {index} has no name: there are {len(names)} classes")


def gives_square_images_in_range(subject: DatasetSubject) -> None:
    """Images are (3, S, S) float32 with finite values in [0, 1], where S is the image size."""
    dataset = subject.make()
    size = dataset.image_size
    for index in _some(dataset):
        image = dataset.image(index)
        if tuple(image.shape) != (3, size, size) or image.dtype != torch.float32:
            raise Broken(
                f"image {index} is {tuple(image.shape)} {image.dtype}, not (3, {size}, {size}) float32"
            )
        low, high = float(image.min()), float(image.max())
        if not (0 <= low <= high <= 1 and bool(image.isfinite().all())):
            raise Broken(f"image {index} is in [{low:.3g}, {high:.3g}], not in [0, 1]")


def gives_the_same_images_every_time(subject: DatasetSubject) -> None:
    """An image has the same bytes when it is read again.

    This holds even if somebody changed the tensor that was returned before, and for a dataset that is made
    anew, whatever the state of the global random generator.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        dataset = subject.make()
        first = {index: dataset.image(index).clone() for index in _some(dataset)}
        torch.manual_seed(2)
        anew = subject.make()
        for index, image in first.items():
            dataset.image(index).zero_()
            if not (torch.equal(dataset.image(index), image) and torch.equal(anew.image(index), image)):
                raise Broken(f"image {index} is another one the second time")


def says_how_it_is_normalized(subject: DatasetSubject) -> None:
    """Mean and standard deviation are three finite numbers each, and the latter are positive."""
    dataset = subject.make()
    for name, values in (("mean", dataset.mean), ("std", dataset.std)):
        if len(values) != 3 or not all(math.isfinite(value) for value in values):
            raise Broken(f"{name} is {values}, not three finite numbers")
    if min(dataset.std) <= 0:
        raise Broken(f"std is {dataset.std}, which is not positive")


CHECKS: tuple[Callable[[DatasetSubject], None], ...] = (
    knows_its_labels_without_reading_an_image,
    has_a_class_for_every_label,
    gives_square_images_in_range,
    gives_the_same_images_every_time,
    says_how_it_is_normalized,
)


def _some(dataset: Dataset) -> list[int]:
    """The indices of all images, or of some that are spread over all."""
    count = len(dataset)
    return sorted({round(k * (count - 1) / (MOST - 1)) for k in range(MOST)}) if count else []
