"""Many images in one file: thousands of small files are hard on a shared file system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch import Tensor

from gifd_bench.common.files import written_whole

# Up to here images are enlarged, and their pixels shown as they are.
SMALL = 64


@dataclass(frozen=True)
class Strip:
    """A line of images for each private image of a batch, below each other in one file.

    Attributes:
        source: relative to the page.
        lines: how many.
        across: images in a line.
        size: height and width of one image.
    """

    source: str
    lines: int
    across: int
    size: tuple[int, int]

    def style(self, line: int) -> str:
        """The CSS that shows one of the lines."""
        height, width = self.size
        place = 100 * line / max(1, self.lines - 1)
        scaling = "pixelated" if max(self.size) <= SMALL else "auto"
        return (
            f"aspect-ratio: {width * self.across} / {height}; object-position: 0 {place:.6g}%; "
            f"image-rendering: {scaling}"
        )


class StripFolder:
    """Writes strips beside a page.

    Args:
        folder: where they go; it exists.
        url: what the folder is called on the page.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url

    def strip(
        self, name: str, lines: int, across: int, source: Path, images: Callable[[], Tensor]
    ) -> Strip:
        """One file of so many images, written unless it is there and newer than its source.

        Args:
            name: of the file, without an ending.
            lines, across: see `Strip`.
            source: what the images are made of.
            images: gives them: (lines, across, 3, H, W) in [0, 1].
        """
        path = self._folder / f"{name}.png"
        if not path.is_file() or _changed(path) < _changed(source):
            _write(path, images())
        with Image.open(path) as image:
            width, height = image.size
        return Strip(f"{self._url}/{name}.png", lines, across, (height // lines, width // across))


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


def _write(path: Path, images: Tensor) -> None:
    """Write images of shape (lines, across, 3, H, W) in [0, 1]."""
    lines, across, _, height, width = images.shape
    pixels = (images * 255).round().byte().permute(0, 3, 1, 4, 2).reshape(lines * height, across * width, 3)
    with written_whole(path) as partial:
        # Little compression: the files are small, and there are many.
        Image.fromarray(pixels.numpy()).save(partial, format="PNG", compress_level=1)
