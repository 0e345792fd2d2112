"""Images for training: a folder with one folder for each class, or an uncompressed zip of such a folder."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import VisionDataset

from gifd_bench.priors.errors import PriorError

AnyPath = Path | zipfile.Path
Pixels = npt.NDArray[Any]
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


class PriorImages(Dataset[tuple[Tensor, Tensor]]):
    """Images held in memory as bytes.

    The index is a list of positions, so a batch is read at once: (B, 3, S, S) in [-1, 1], mirrored at
    random, and (B,) int64 labels.
    """

    def __init__(self, pixels: Tensor, labels: Tensor, class_names: tuple[str, ...]) -> None:
        self.pixels, self.labels, self.class_names = pixels, labels, class_names

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, positions: list[int]) -> tuple[Tensor, Tensor]:
        index = torch.as_tensor(positions)
        images = self.normalized(index)
        mirrored = torch.rand(len(index), 1, 1, 1) < 0.5
        return torch.where(mirrored, images.flip(-1), images), self.labels[index]

    def normalized(self, index: Tensor | slice) -> Tensor:
        """Some images without mirroring: (B, 3, S, S) in [-1, 1]."""
        return self.pixels[index].float() / 127.5 - 1


def from_dataset(dataset: VisionDataset, size: int) -> PriorImages:
    """The images of a torchvision dataset, read once, cropped to squares and scaled to `size`.

    Raises:
        PriorError: its items are not pairs of a PIL image and a class number.
    """
    pixels: list[Pixels] = []
    labels: list[int] = []
    for index in range(len(dataset)):
        image, label = dataset[index]
        if not isinstance(image, Image.Image) or not isinstance(label, int):
            found = f"{type(image).__name__} and {type(label).__name__}"
            raise PriorError(
                f"{type(dataset).__name__}: items must be images and class numbers, not {found}"
            )
        pixels.append(_square(image.convert("RGB"), size))
        labels.append(label)
    if not labels:
        raise PriorError(f"{type(dataset).__name__}: holds no images")
    names = getattr(dataset, "classes", range(max(labels) + 1))
    tensors = torch.from_numpy(np.stack(pixels)), torch.tensor(labels)
    return PriorImages(*tensors, tuple(str(name) for name in names))


def load_images(data: Path, split: str, size: int) -> PriorImages:
    """Read every image below `data/split/<class>/`, cropped to a square and scaled to `size`.

    Args:
        data: a folder or a `.zip` file.
        split: a path inside it; "." for `data` itself.
        size: side in pixels.

    Raises:
        PriorError: there is no such folder, it has no classes, or a file is not an image.
    """
    root = _open(data, split)
    classes = sorted((entry for entry in root.iterdir() if entry.is_dir()), key=lambda e: e.name)
    if not classes:
        raise PriorError(f"{data}: no class folders below '{split}'")
    pixels: list[Pixels] = []
    labels: list[int] = []
    for label, folder in enumerate(classes):
        files = sorted((f for f in folder.iterdir() if _is_image(f)), key=lambda f: f.name)
        if not files:
            raise PriorError(f"{folder}: no images ({', '.join(SUFFIXES)}) of this class")
        pixels.extend(_read(file, size) for file in files)
        labels.extend([label] * len(files))
    names = tuple(folder.name for folder in classes)
    return PriorImages(torch.from_numpy(np.stack(pixels)), torch.tensor(labels), names)


def _open(data: Path, split: str) -> AnyPath:
    if not data.exists():
        raise PriorError(f"{data}: no such folder or zip file of training images")
    if data.is_file() and not zipfile.is_zipfile(data):
        raise PriorError(f"{data}: neither a folder nor a zip file")
    root: AnyPath = zipfile.Path(data) if data.is_file() else data
    for part in Path(split).parts:
        root = root / part
    if not root.is_dir():
        raise PriorError(f"{data}: holds no folder '{split}'")
    return root


def _is_image(entry: AnyPath) -> bool:
    return entry.name.lower().endswith(SUFFIXES)


def _read(file: AnyPath, size: int) -> Pixels:
    try:
        with Image.open(io.BytesIO(file.read_bytes())) as image:
            rgb = image.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise PriorError(f"{file}: not an image that can be read") from error
    return _square(rgb, size)


def _square(rgb: Image.Image, size: int) -> Pixels:
    """The center of an image, scaled to `size`, channels first."""
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    square = rgb.crop((left, top, left + side, top + side))
    if side != size:
        square = square.resize(
            (size, size), Image.Resampling.BOX if side > size else Image.Resampling.BICUBIC
        )
    pixels: Pixels = np.asarray(square).transpose(2, 0, 1)
    return pixels
