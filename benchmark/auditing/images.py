"""The owner's images from files, and the images from which they are to be told apart."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.benchmark.auditing.owner import Distractors
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.scoring.identification import DISTRACTORS, bundled_others, drawn_of
from gifd_bench.tasks.capture.update_files import read_file
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.image_files import SUFFIXES, list_folders, list_images, read_image
from gifd_bench.tasks.datasets.registry import DATASETS

# ITU-R BT.601, as Pillow and torchvision make gray images.
GRAY = (0.299, 0.587, 0.114)


def read_images(paths: Sequence[Path], shape: tuple[int, int, int]) -> Tensor:
    """Read the private images, in the order of the paths.

    Args:
        paths: image files, or one folder of them, in the order of their names; or one `.pt`, `.npy`, `.npz`
            or `.safetensors` file with a tensor of all of them, (B, C, H, W) in [0, 1] or of bytes.
        shape: (C, H, W) of the victim's images. Files of another size are cropped to their center squares
            and scaled, as in the dataset `folder`.

    Returns:
        (B, C, H, W) in [0, 1].

    Raises:
        UserError: they cannot be read, or do not have this shape.
    """
    if len(paths) == 1 and paths[0].is_file() and paths[0].suffix.lower() not in SUFFIXES:
        return _tensor(paths[0])
    files = [file for path in paths for file in (files_below(path) if path.is_dir() else [path])]
    if not files:
        raise BenchmarkError(f"{paths[0]}: there is no image in it")
    channels, height, width = shape
    if height != width:
        raise BenchmarkError(
            f"images of {height}x{width} are not square: give them as one .npy or .safetensors file of "
            f"shape (B, {channels}, {height}, {width}) in [0, 1]"
        )
    return torch.stack([_colors(read_image(file, height), channels) for file in files])


def files_below(folder: Path) -> list[Path]:
    """The image files of a folder and of the folders in it, in the order of their names."""
    inner = [file for below in list_folders(folder, folder) for file in list_images(below, folder)]
    return [*list_images(folder, folder), *inner]


def read_labels(given: Sequence[str], class_names: Sequence[str]) -> Tensor:
    """Read labels, given as numbers or names of classes: (B,) int64.

    Raises:
        BenchmarkError: one of them is neither.
    """
    names = {name: label for label, name in enumerate(class_names)}
    found = []
    for text in given:
        if text not in names and not text.isdigit():
            raise BenchmarkError(f"label '{text}' is neither a number nor the name of a class")
        found.append(names[text] if text in names else int(text))
    return torch.tensor(found, dtype=torch.int64)


def bundled_distractors(shape: tuple[int, int, int]) -> Distractors:
    """Crops of the bundled photographs, for lack of better images."""
    return Distractors(bundled_others(DISTRACTORS, shape), "crops of bundled photographs")


def named_distractors(name: str, shape: tuple[int, int, int]) -> Distractors:
    """Images of a folder, or of a dataset by its name.

    Raises:
        UserError: there is neither, or it has no images.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        files = files_below(folder)
        size = max(shape[1:])
        images = [_fitting(read_image(files[k], size), shape) for k in drawn_of(len(files), DISTRACTORS)]
        if not images:
            raise BenchmarkError(f"{folder}: there is no image in it")
        return _filled_up(torch.stack(images), f"images of {folder}", shape)
    takes = inspect.signature(DATASETS.signature(name)).parameters
    return dataset_distractors(
        DATASETS.make(name, {"size": max(shape[1:])} if "size" in takes else {}), name, shape
    )


def dataset_distractors(dataset: Dataset, name: str, shape: tuple[int, int, int]) -> Distractors:
    """Images of a dataset, drawn at random."""
    images = [_fitting(dataset.image(index), shape) for index in drawn_of(len(dataset), DISTRACTORS)]
    return _filled_up(torch.stack(images), f"images of {name}", shape)


def _filled_up(images: Tensor, source: str, shape: tuple[int, int, int]) -> Distractors:
    """Images, with additional crops of the bundled photographs if there are few."""
    lacking = DISTRACTORS - len(images)
    if lacking <= 0:
        return Distractors(images, source)
    crops = bundled_others(lacking, shape)
    said = f"{source} ({len(images)}) and crops of bundled photographs ({lacking})"
    return Distractors(torch.cat([images, crops]), said)


def _fitting(image: Tensor, shape: tuple[int, int, int]) -> Tensor:
    channels, height, width = shape
    if tuple(image.shape[1:]) != (height, width):
        image = F.interpolate(image[None], size=(height, width), mode="area")[0]
    return _colors(image, channels)


def _colors(image: Tensor, channels: int) -> Tensor:
    """An image of three channels, converted to the number of channels of the victim's images."""
    if len(image) == channels:
        return image
    gray = (image * torch.tensor(GRAY).view(3, 1, 1)).sum(dim=0, keepdim=True)
    return gray.clamp(0, 1).expand(channels, -1, -1)


def _tensor(path: Path) -> Tensor:
    content: Any = read_file(path)
    if isinstance(content, Mapping):
        content = next(iter(content.values()), None)
    elif isinstance(content, list):
        content = content[0] if content else None
    try:
        array = content.numpy() if isinstance(content, Tensor) else np.asarray(content)
        images = torch.from_numpy(np.array(array))
    except (TypeError, ValueError, RuntimeError) as error:
        raise BenchmarkError(f"{path}: a tensor of images (B, C, H, W) is expected") from error
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()
