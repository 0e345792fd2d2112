"""Consistency of a group: several searches for the same images, from different seeds."""

from __future__ import annotations

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.registration import translate, translations


def consensus(members: Tensor, most: int) -> Tensor:
    """What a group agrees on: the mean of its members, each moved onto their plain mean first.

    Yin et al., "See through gradients", CVPR 2021, section 3.4.

    Args:
        members: (G, B, C, H, W).
        most: the largest number of pixels by which an image is moved; 0 for the plain mean.

    Returns:
        (B, C, H, W).
    """
    mean = members.mean(dim=0)
    if most == 0:
        return mean
    return translate(members, translations(members, mean.expand_as(members), most)).mean(dim=0)


def group_distance(members: Tensor, agreed: Tensor) -> Tensor:
    """The distance of each member from what the group agrees on.

    It is the Euclidean distance of an image, over its number of pixels, as a mean over the batch.

    Args:
        members: (G, B, C, H, W).
        agreed: (B, C, H, W).

    Returns:
        (G,).
    """
    pixels = members.shape[-1] * members.shape[-2]
    # Where the two are equal, as in a group of one, the gradient is zero, which is a subgradient of the
    # norm.
    distances = torch.linalg.vector_norm((members - agreed).flatten(2), dim=2)
    each: Tensor = distances.mean(dim=1) / pixels
    return each
