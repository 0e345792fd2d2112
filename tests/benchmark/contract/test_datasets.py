"""The contract of datasets: kept by those that are here, and broken in every way that it names."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gifd_bench.benchmark.contract import datasets
from gifd_bench.benchmark.contract.datasets import CHECKS, DatasetSubject
from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.registry import DATASETS

PLACES = {
    "cifar10": "cifar10/test/{}",
    "cifar100": "cifar100/test/{}",
    "ffhq": "ffhq/thumbnails128x128",
    "folder": "{}",
    "imagenet": "imagenet-samples/{}",
    "pacs": "pacs/photo/{}",
}
CLASSES = {
    "cifar10": ("cat", "dog"),
    "cifar100": ("apple", "bee"),
    "ffhq": ("",),
    "folder": ("mine", "yours"),
    "imagenet": ("n01440764", "n01443537"),
    "pacs": ("dog", "person"),
}


@pytest.mark.parametrize("name", sorted(DATASETS.bundled))
def test_every_bundled_dataset_keeps_it(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    for class_name in CLASSES.get(name, ()):
        folder = tmp_path / PLACES[name].format(class_name)
        folder.mkdir(parents=True)
        for number in ("00001", "00002"):
            pixels = noise.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "ffhq/json").mkdir(parents=True)
    for number, age in (("00001", 7), ("00002", 71)):
        (tmp_path / f"ffhq/json/{number}.json").write_text(json.dumps([{"faceAttributes": {"age": age}}]))
    options = {"root": str(tmp_path)} if name in PLACES else {}
    if name == "folder":
        (tmp_path / "ffhq/json/00001.json").unlink()
        (tmp_path / "ffhq/json/00002.json").unlink()
        (tmp_path / "ffhq/json").rmdir()
        (tmp_path / "ffhq").rmdir()
    for check in CHECKS:
        check(DatasetSubject(lambda: DATASETS.make(name, options)))


class Good(Dataset):
    """Random images of two classes."""

    class_names: tuple[str, ...] = ("even", "odd")
    image_size = 8

    def __init__(self) -> None:
        self.labels: Sequence[Any] = [0, 1, 0, 1]

    def image(self, index: int) -> Tensor:
        return torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(index))


class ReadsForItsLabels(Good):
    def __init__(self) -> None:
        self.labels = [int(self.image(index)[0, 0, 0] > 2) for index in range(4)]


class OtherLabelsWithTheImages(Good):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.image(index), 1


class TooFewNames(Good):
    class_names = ("even",)


class TheSameNameTwice(Good):
    class_names = ("number", "number")


class Empty(Good):
    def __init__(self) -> None:
        self.labels = []


class LabelsThatAreText(Good):
    def __init__(self) -> None:
        self.labels = ["even", "odd"]


class AnotherSize(Good):
    image_size = 16


class Bytes(Good):
    def image(self, index: int) -> Tensor:
        return (super().image(index) * 255).byte()


class Normalized(Good):
    def image(self, index: int) -> Tensor:
        return super().image(index) * 2 - 1


class Augmented(Good):
    def image(self, index: int) -> Tensor:
        return super().image(index) * torch.rand(())


class Shared(Good):
    def __init__(self) -> None:
        super().__init__()
        self.images = [Good.image(self, index) for index in range(4)]

    def image(self, index: int) -> Tensor:
        return self.images[index]


class TwoChannels(Good):
    mean: Any = (0.5, 0.5)


class NoSpread(Good):
    std = (0.25, 0.0, 0.25)


@pytest.mark.parametrize(
    ("check", "wrong", "message"),
    [
        (datasets.knows_its_labels_without_reading_an_image, ReadsForItsLabels, "image 0 was read"),
        (
            datasets.knows_its_labels_without_reading_an_image,
            OtherLabelsWithTheImages,
            "label 1, but .* is 0",
        ),
        (datasets.has_a_class_for_every_label, TooFewNames, "label 1 of image 1 has no name"),
        (datasets.has_a_class_for_every_label, TheSameNameTwice, "not different texts"),
        (datasets.has_a_class_for_every_label, Empty, "0 images"),
        (datasets.has_a_class_for_every_label, LabelsThatAreText, "label 'even' of image 0"),
        (datasets.gives_square_images_in_range, AnotherSize, r"not \(3, 16, 16\) float32"),
        (datasets.gives_square_images_in_range, Bytes, "uint8"),
        (datasets.gives_square_images_in_range, Normalized, r"not in \[0, 1\]"),
        (datasets.gives_the_same_images_every_time, Augmented, "another one the second time"),
        (datasets.gives_the_same_images_every_time, Shared, "another one the second time"),
        (datasets.says_how_it_is_normalized, TwoChannels, "not three finite numbers"),
        (datasets.says_how_it_is_normalized, NoSpread, "not positive"),
    ],
)
def test_whoever_breaks_it_is_told_how(
    check: Callable[[DatasetSubject], None], wrong: Callable[[], Dataset], message: str
) -> None:
    check(DatasetSubject(Good))
    with pytest.raises(Broken, match=message) as error:
        check(DatasetSubject(wrong))
    assert "\n" not in str(error.value)


def test_every_promise_is_listed_once_and_says_what_it_checks() -> None:
    assert len(set(CHECKS)) == len(CHECKS)
    assert all((check.__doc__ or "").strip().endswith(".") for check in CHECKS)
