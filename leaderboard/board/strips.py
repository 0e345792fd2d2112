"""The reconstructions of an entry as one picture, and the truths as another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.functional import interpolate

from gifd_bench.benchmark.inversion.assignment import assign
from gifd_bench.common.errors import one_line
from gifd_bench.common.files import written_whole
from gifd_bench.leaderboard.board.folder import IMAGES
from gifd_bench.leaderboard.entries import Entry
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.observation_set import checksum
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.tasks.truth import Truth

# So many images are in a row, and the first row is what tables show.
COLUMNS = 8
# Part of the files' names: whatever changes what is drawn from the same answers makes it another one.
LAYOUT = 1
# Up to here images are enlarged, and their pixels shown as they are.
SMALL = 64


@dataclass(frozen=True)
class Sprite:
    """All images of an entry in one file: a grid of squares with gaps, in the order of the protocol.

    Attributes:
        source: the file, relative to the folder of the board.
        columns, rows: the size of the grid.
        size: side of a square, in pixels.
        gap: the distance between squares, in pixels.
    """

    source: str
    columns: int
    rows: int
    size: int
    gap: int

    @property
    def width(self) -> int:
        """The width in pixels."""
        return self.columns * self.size + (self.columns - 1) * self.gap

    @property
    def height(self) -> int:
        """The height in pixels."""
        return self.rows * self.size + (self.rows - 1) * self.gap

    @property
    def small(self) -> bool:
        """Whether its pixels are shown as they are."""
        return self.size <= SMALL

    @property
    def strip(self) -> str:
        """CSS of an image that shows the first row."""
        return f"aspect-ratio: {self.width} / {self.size}"

    def tile(self, image: int) -> str:
        """CSS of an image that shows one square, in a square box that hides everything outside of it."""
        row, column = divmod(image, self.columns)
        step = 100 * (self.size + self.gap) / self.size
        return (
            f"width: {100 * self.width / self.size:.4f}%; "
            f"margin: {-step * row:.4f}% 0 0 {-step * column:.4f}%"
        )


class Sprites:
    """Writes the pictures of one track.

    Args:
        protocol: the protocol of the track.
        board: the folder of the board, with a folder for images in it.
        truths: the private images by observation, if they are on this machine.
    """

    def __init__(self, protocol: Protocol, board: Path, truths: Mapping[str, Truth] | None) -> None:
        self._counts = {name: one.task.settings.images for name, one in protocol.rounds.items()}
        self._board = board
        self._truths = truths or {}

    @property
    def places(self) -> list[tuple[str, int]]:
        """Observation and number of the image in it, in the order of the squares."""
        return [(name, k) for name, count in self._counts.items() for k in range(count)]

    def truth(self) -> Sprite | None:
        """The private images."""
        if not self._truths:
            return None
        images = {name: truth.images for name, truth in self._truths.items() if name in self._counts}
        digest = hashlib.sha256()
        for name in sorted(images):
            digest.update(f"{name} {tuple(images[name].shape)}".encode())
            digest.update(_bytes(images[name]).numpy().tobytes())
        size = max(tensor.shape[-1] for tensor in images.values())
        sprite = self._sprite(digest.hexdigest(), size)
        self._write(sprite, images)
        return sprite

    def of(self, entry: Entry) -> Sprite:
        """The answers of an entry's attack.

        Of several images in one observation, each is below the truth to which it belongs, if the truths are
        on this machine.

        Raises:
            LeaderboardError: a reconstruction has changed since it was accepted.
        """
        entry.submission.check_files()
        files = {name: entry.images_file(name) for name in self._counts if name in entry.answered}
        if not files:
            raise LeaderboardError(f"{entry.submission.path}: answers no observation of its protocol")
        sizes = {name: _size(file) for name, file in files.items()}
        digest = hashlib.sha256()
        for name, file in files.items():
            paired = name in self._truths and self._counts[name] > 1
            digest.update(f"{name} {checksum(file)} {paired}\n".encode())
        sprite = self._sprite(digest.hexdigest(), max(sizes.values()))
        if not (self._board / sprite.source).is_file():
            self._write(sprite, {name: self._images(entry, name, sizes[name]) for name in files})
        return sprite

    def _images(self, entry: Entry, name: str, size: int) -> Tensor:
        images = entry.answer(name, self._counts[name], size).images
        if len(images) > 1 and name in self._truths:
            return images[assign(images, self._truths[name].images)]
        return images

    def _sprite(self, digest: str, size: int) -> Sprite:
        count = sum(self._counts.values())
        columns = min(COLUMNS, count)
        source = f"{IMAGES}/{LAYOUT}-{digest[:24]}.png"
        return Sprite(source, columns, -(-count // columns), size, max(1, size // 16))

    def _write(self, sprite: Sprite, images: Mapping[str, Tensor]) -> None:
        """Draw the existing images; missing ones stay transparent."""
        path = self._board / sprite.source
        if path.is_file():
            return
        pixels = torch.zeros(sprite.height, sprite.width, 4, dtype=torch.uint8)
        step = sprite.size + sprite.gap
        for position, (name, k) in enumerate(self.places):
            if name not in images:
                continue
            top, left = (step * part for part in divmod(position, sprite.columns))
            square = pixels[top : top + sprite.size, left : left + sprite.size]
            square[..., :3] = _bytes(_enlarged(images[name][k], sprite.size)).permute(1, 2, 0)
            square[..., 3] = 255
        with written_whole(path) as partial:
            # Little compression: the files are small, and there are many.
            Image.fromarray(pixels.numpy()).save(partial, format="PNG", compress_level=1)


def _size(path: Path) -> int:
    """Height of the images of a reconstruction, from the head of its file."""
    try:
        with safe_open(path, framework="pt") as file:
            shape: Sequence[int] = file.get_slice("images").get_shape()
    except (SafetensorError, OSError, ValueError) as error:
        raise LeaderboardError(
            f"{path}: not a readable safetensors file ({one_line(error)[:200]})"
        ) from error
    if len(shape) != 4:
        raise LeaderboardError(f"{path}: images of shape {shape}, not (B, 3, H, W)")
    return shape[-1]


def _enlarged(image: Tensor, size: int) -> Tensor:
    return image if image.shape[-1] == size else interpolate(image[None], (size, size), mode="nearest")[0]


def _bytes(images: Tensor) -> Tensor:
    return (images * 255).round().byte()
