"""Identification: does a reconstruction find its own private image among others?"""

from __future__ import annotations

import torch
from torch import Tensor

from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.photos import Photos

# Side of the photographs that the bundled distractors are cut from.
LARGEST = 256
# Of an image without any contrast.
TINY = 1e-12


def own_ranks(images: Tensor, truths: Tensor, others: Tensor) -> Tensor:
    """At which place each reconstruction finds its own private image among others: 1 is the nearest.

    The idea is the image identifiability precision of GradInversion (Yin et al., CVPR 2021, section 4.1),
    the share of reconstructions whose nearest neighbor is their own private image. The distance here is one
    minus the Pearson correlation of the pixels, which neither brightness nor contrast changes and which
    needs no network.

    Args:
        images: (B, C, H, W), in the order of the private images.
        truths: (B, C, H, W), the private images.
        others: (N, C, H, W), which are none of the private images.

    Returns:
        (B,) int64 from 1 to N + 1; of equal distances the own image's counts as the farther one, so that a
        reconstruction without any contrast identifies nothing.
    """
    rows, own, rest = (_standardized(batch) for batch in (images, truths, others))
    mine = (rows * own).sum(dim=1)
    places: Tensor = 1 + (rows @ rest.t() >= mine[:, None]).sum(dim=1)
    return places


def draw_others(dataset: Dataset, count: int, seed: int, without: Tensor) -> Tensor:
    """Images of a dataset at random: (N, C, H, W), N at most `count`.

    Args:
        dataset: of the private images' kind.
        count: how many.
        seed: of the draw.
        without: (B, C, H, W), images that are left out wherever they occur.
    """
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed)).tolist()
    drawn: list[Tensor] = []
    for index in order:
        image = dataset.image(index)
        if not any(torch.equal(image, private) for private in without):
            drawn.append(image)
        if len(drawn) == count:
            break
    return torch.stack(drawn) if drawn else without.new_zeros(0, *without.shape[1:])


def bundled_others(count: int, shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    """Crops of the bundled photographs at random places and scales: (count, C, H, W) in [0, 1].

    They stand in for images of the private ones' own kind where none are at hand.

    Args:
        count: how many.
        shape: (C, H, W); grey images are means over the colors.
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    photos = Photos(size=LARGEST)
    channels, height, width = shape
    crops = []
    for number in range(count):
        photo = photos.image(number % len(photos))
        side = int(torch.randint(LARGEST // 4, LARGEST // 2 + 1, (1,), generator=generator))
        top, left = (int(torch.randint(LARGEST - side + 1, (1,), generator=generator)) for _ in "yx")
        crop = photo[None, :, top : top + side, left : left + side]
        crop = torch.nn.functional.interpolate(crop, size=(height, width), mode="area")[0]
        crops.append(crop if channels == 3 else crop.mean(dim=0, keepdim=True).expand(channels, -1, -1))
    return torch.stack(crops)


def _standardized(batch: Tensor) -> Tensor:
    """Rows of mean 0 and norm 1: (B, C * H * W) float64."""
    rows = batch.flatten(1).double()
    rows = rows - rows.mean(dim=1, keepdim=True)
    norms: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / norms.clamp(min=TINY)
