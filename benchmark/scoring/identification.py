"""Identification: is a reconstruction nearest to its own private image among others?"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.benchmark.results.record import DistractorRecord
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.photos import Photos

# How many others there are, unless somebody asks for another number.
DISTRACTORS = 1000
# The seed of the draw of the others, so that every run has the same ones.
SEED = 0
# Larger images are compared at this side: a thousand of them would not fit into memory.
COMPARED_SIDE = 64
# More than the others that are asked for, to stand in for private images that are drawn.
SPARE = 64
# Pixels of the same image may differ by this much, because reducing it may round differently.
SAME = 1e-5
# Side of the photographs that the bundled distractors are cut from.
LARGEST = 256
# The norm below which an image has no contrast.
TINY = 1e-12


class Lineup:
    """Other images, among which the private image of a reconstruction is to be found.

    They are drawn at random from the private images' dataset. If it has too few, crops of the bundled
    photographs fill up the number, and `DistractorRecord` says how many of each there were.

    Args:
        dataset: a dataset of the same kind as the private images.
        count: the number of other images.
    """

    def __init__(self, dataset: Dataset, count: int = DISTRACTORS) -> None:
        drawn = [reduced(dataset.image(index)[None]) for index in drawn_of(len(dataset), count + SPARE)]
        self._count = count
        self._own = torch.cat(drawn)
        missing = count + SPARE - len(drawn)
        channels, height, width = self._own.shape[1:]
        crops = bundled_others(missing, (channels, height, width)) if missing else self._own[:0]
        # Computed once, and not for every cell, and in 32 bits, because there may be many of them.
        self._rows = _standardized(torch.cat([self._own, crops])).float()

    def ranks(self, images: Tensor, truths: Tensor) -> tuple[Tensor, DistractorRecord]:
        """The place of each private image by its distance from its reconstruction, among the others.

        Args:
            images: (B, C, H, W) in [0, 1], in the order of the private images.
            truths: (B, C, H, W), the private images; if they occur among the others, they are left out
                there.

        Returns:
            (B,) int64, as in `own_ranks`, and the others.
        """
        images, truths = reduced(images), reduced(truths)
        same = torch.zeros(len(self._own), dtype=torch.bool)
        for truth in truths:
            same |= ((self._own - truth).abs() < SAME).flatten(1).all(dim=1)
        own = (~same).nonzero().flatten()[: self._count]
        crops = torch.arange(len(self._own), len(self._rows))[: self._count - len(own)]
        rows, mine = (_standardized(batch).float() for batch in (images, truths))
        others = (rows @ self._rows.t())[:, torch.cat([own, crops])]
        places: Tensor = 1 + (others >= (rows * mine).sum(dim=1, keepdim=True)).sum(dim=1)
        return places, DistractorRecord(others.shape[1], len(own))


def drawn_of(images: int, most: int) -> list[int]:
    """The indices of the other images: at most `most` at random, the same in every run."""
    return torch.randperm(images, generator=torch.Generator().manual_seed(SEED)).tolist()[:most]


def reduced(images: Tensor) -> Tensor:
    """Images (B, C, H, W) with sides of at most `COMPARED_SIDE`, reduced by area."""
    height, width = images.shape[-2:]
    factor = COMPARED_SIDE / max(height, width)
    if factor >= 1:
        return images
    return F.interpolate(images, size=(round(height * factor), round(width * factor)), mode="area")


def own_ranks(images: Tensor, truths: Tensor, others: Tensor) -> Tensor:
    """The place of each private image by its distance from its reconstruction: 1 is the nearest.

    The idea is the image identifiability precision of GradInversion (Yin et al., CVPR 2021, section 4.1),
    the share of reconstructions whose nearest neighbor is their own private image. The distance here is one
    minus the Pearson correlation of the pixels, which does not change with brightness or contrast, and
    needs no network.

    Args:
        images: (B, C, H, W), in the order of the private images.
        truths: (B, C, H, W), the private images.
        others: (N, C, H, W), none of which is a private image.

    Returns:
        (B,) int64 from 1 to N + 1. Among equal distances, the own image counts as the farthest, so a
        reconstruction without any contrast identifies nothing.
    """
    rows, own, rest = (_standardized(batch) for batch in (images, truths, others))
    mine = (rows * own).sum(dim=1)
    places: Tensor = 1 + (rows @ rest.t() >= mine[:, None]).sum(dim=1)
    return places


@lru_cache(maxsize=4)
def bundled_others(count: int, shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    """Crops of the bundled photographs at random places and scales: (count, C, H, W) in [0, 1].

    They stand in for images of the same kind as the private ones, if there are none.

    Args:
        count: the number of crops.
        shape: (C, H, W); gray images are means over the colors.
        seed: the seed of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    photos = _bundled_photos()
    channels, height, width = shape
    crops = []
    for number in range(count):
        photo = photos[number % len(photos)]
        side = int(torch.randint(LARGEST // 4, LARGEST // 2 + 1, (1,), generator=generator))
        top, left = (int(torch.randint(LARGEST - side + 1, (1,), generator=generator)) for _ in "yx")
        crop = photo[None, :, top : top + side, left : left + side]
        crop = F.interpolate(crop, size=(height, width), mode="area")[0]
        crops.append(crop if channels == 3 else crop.mean(dim=0, keepdim=True).expand(channels, -1, -1))
    return torch.stack(crops)


@lru_cache(maxsize=1)
def _bundled_photos() -> tuple[Tensor, ...]:
    photos = Photos(size=LARGEST)
    return tuple(photos.image(index) for index in range(len(photos)))


def _standardized(batch: Tensor) -> Tensor:
    """Rows of mean 0 and norm 1: (B, C * H * W) float64."""
    rows = batch.flatten(1).double()
    rows = rows - rows.mean(dim=1, keepdim=True)
    norms: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / norms.clamp(min=TINY)
