"""Reading images of unknown origin: finding the files, and turning a file into a tensor.

Pillow and torch are imported only when an image is read, so commands that only list files start quickly.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.errors import TaskError

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image
    from torch import Tensor

FORMATS = ("BMP", "JPEG", "PNG", "WEBP")
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
MAX_PIXELS = 1 << 26

# What Pillow's decoders raise at damaged files, besides its own DecompressionBombError.
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error)


def check_size(dataset: str, size: int) -> None:
    """Raise a TaskError unless `size` is a side in pixels to which images can be scaled here."""
    if not 8 <= size <= 256:
        raise TaskError(f"{dataset}: size {size} is not between 8 and 256")


def read_image(path: Path, size: int) -> Tensor:
    """The center square of an image, upright and scaled to `size`: (3, size, size) float32 in [0, 1].

    A larger square is area-pooled, and a smaller one is interpolated. Both give multiples of 1/255.

    Raises:
        TaskError: the file is no image, is damaged, has more than `MAX_PIXELS` pixels, or more than 8 bits
            for each channel.
    """
    from PIL import Image

    square = center_square(_read_rgb(path))
    if square.width != size:
        pooled = square.width > size
        filter_ = Image.Resampling.BOX if pooled else Image.Resampling.BICUBIC
        square = square.resize((size, size), filter_)
    return to_tensor(np.asarray(square))


def damage_of(path: Path) -> str | None:
    """Why `read_image` cannot read a file, in one line; `None` if it can."""
    try:
        _read_rgb(path)
    except TaskError as error:
        return str(error)
    return None


def _read_rgb(path: Path) -> Image:
    """A whole image, upright, in RGB; raises the errors of `read_image`."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width}x{image.height} is more than {MAX_PIXELS:,} pixels")
            if image.mode.startswith(("I", "F")):  # Pillow would clip these to white.
                raise ValueError("more than 8 bits per channel")
            return ImageOps.exif_transpose(image).convert("RGB")
    except UnidentifiedImageError as error:
        raise TaskError(f"{path}: not a {', '.join(FORMATS)} image, or damaged") from error
    except (*DAMAGE, Image.DecompressionBombError) as error:
        detail = one_line(error)
        raise TaskError(f"{path}: not an image that can be read ({detail})") from error


def center_square(image: Image) -> Image:
    """The largest square in the middle of an image."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def to_tensor(pixels: npt.NDArray[Any]) -> Tensor:
    """(H, W, 3) bytes as (3, H, W) float32 in [0, 1]."""
    import torch

    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) / 255)


def list_images(folder: Path, inside: Path) -> list[Path]:
    """The image files in one folder, sorted by name; other files and hidden ones are skipped.

    Args:
        folder: the folder in which to look; folders below it are not searched.
        inside: the folder out of which no link may lead.

    Raises:
        TaskError: the folder cannot be read, or a link leads out.
    """
    return _list(folder, inside, want_folders=False)


def list_folders(folder: Path, inside: Path) -> list[Path]:
    """The folders in one folder, sorted by name, without hidden ones; like `list_images`."""
    return _list(folder, inside, want_folders=True)


def _list(folder: Path, inside: Path, want_folders: bool) -> list[Path]:
    found: list[Path] = []
    top = inside.resolve()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                image = entry.is_file() and entry.name.lower().endswith(SUFFIXES)
                wanted = entry.is_dir() if want_folders else image
                if not wanted or entry.name.startswith("."):
                    continue
                path = Path(entry.path)
                if entry.is_symlink() and not path.resolve().is_relative_to(top):
                    raise TaskError(f"{path}: a link that leads out of {inside}")
                found.append(path)
    except OSError as error:
        raise TaskError(f"{folder}: cannot be read ({error.strerror})") from error
    return sorted(found, key=lambda path: path.name)
