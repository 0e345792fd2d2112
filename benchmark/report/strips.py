"""Pictures of a page, which are within it or in files beside it."""

from __future__ import annotations

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch import Tensor

from gifd_bench.common.errors import StorageError, one_line

# Up to here images are enlarged, and their pixels shown as they are.
SMALL = 64
Images = Callable[[], Tensor]


@dataclass(frozen=True)
class Strip:
    """A line of images for each private image of a batch.

    Attributes:
        sources: the address of each line, relative to the page or as a data URI; several lines may be in
            one picture, one below the other.
        across: images in a line.
        size: height and width of one image.
    """

    sources: tuple[str, ...]
    across: int
    size: tuple[int, int]

    def source(self, line: int) -> str:
        """The address of a line."""
        return self.sources[line]

    def style(self, line: int) -> str:
        """The CSS that shows one of the lines."""
        height, width = self.size
        shared = len(self.sources) > 1 and len(set(self.sources)) == 1
        place = 100 * line / (len(self.sources) - 1) if shared else 0
        scaling = "pixelated" if max(self.size) <= SMALL else "auto"
        return (
            f"aspect-ratio: {width * self.across} / {height}; object-position: 0 {place:.6g}%; "
            f"image-rendering: {scaling}"
        )


class Strips(ABC):
    """Where the pictures of a page go."""

    @abstractmethod
    def strip(self, name: str, lines: int, across: int, source: Path, images: Images) -> Strip:
        """The strip of some images.

        Args:
            name: the name of the strip, without an ending.
            lines: the number of lines.
            across: the number of images in a line.
            source: the file from which the images are made.
            images: returns them: (lines, across, 3, H, W) in [0, 1].
        """


class InlinedStrips(Strips):
    """Strips within the page itself, with one picture for each line."""

    def strip(self, name: str, lines: int, across: int, source: Path, images: Images) -> Strip:
        """The strip of some images, as in `Strips`; nothing is written."""
        found = images()
        return Strip(
            tuple(_data_uri(found[k : k + 1]) for k in range(lines)),
            across,
            (found.shape[-2], found.shape[-1]),
        )


class StripFolder(Strips):
    """Strips in files beside the page, one file for each.

    Thousands of small files would be a burden for a shared file system.

    Args:
        folder: where they go; it exists.
        url: the name of the folder on the page.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url

    def strip(self, name: str, lines: int, across: int, source: Path, images: Images) -> Strip:
        """The strip of some images, as in `Strips`; the file is written unless it is newer than its source.

        Raises:
            StorageError: it cannot be written.
        """
        path = self._folder / f"{name}.png"
        if not path.is_file() or _changed(path) < _changed(source):
            _write(path, _png(images()))
        with Image.open(path) as image:
            width, height = image.size
        return Strip((f"{self._url}/{name}.png",) * lines, across, (height // lines, width // across))


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


def _write(path: Path, content: bytes) -> None:
    """Write a picture completely, without waiting for the disk.

    After a power cut it is made again, and waiting would take longer than everything else for thousands of
    pictures.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({one_line(error)})") from error


def _data_uri(images: Tensor) -> str:
    return "data:image/png;base64," + base64.b64encode(_png(images, compression=9)).decode("ascii")


def _png(images: Tensor, compression: int = 1) -> bytes:
    """Images of shape (lines, across, 3, H, W) in [0, 1] as one picture."""
    lines, across, _, height, width = images.shape
    pixels = (images * 255).round().byte().permute(0, 3, 1, 4, 2).reshape(lines * height, across * width, 3)
    stream = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(stream, format="PNG", compress_level=compression)
    return stream.getvalue()
