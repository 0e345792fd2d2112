"""What a clean update proves if features are never negative, such as those after a ReLU.

Image b of class y adds the column r_bi (p_b - e_y) / B to the last weight gradient at feature i. Its one
negative entry is that of y. Where features are zero, single images become visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.labels.last_layer import LastLayer

# A negative entry below this share of the largest entry of the gradient is a rounding error.
TINY = 1e-6
# Columns of one image are parallel but for rounding: the sine of an angle.
PARALLEL = 2e-6
# Columns of a class that are compared with each other, those of the largest norm.
COLUMNS = 2048


@dataclass(frozen=True)
class CountBounds:
    """The smallest and the largest possible count of each class, (C,) int64 each."""

    least: Tensor
    most: Tensor


def no_bounds(classes: int, batch_size: int) -> CountBounds:
    """The bounds if nothing is known."""
    least = torch.zeros(classes, dtype=torch.int64, device="cpu")
    return CountBounds(least, torch.full_like(least, batch_size))


def certain_bounds(
    layer: LastLayer, batch_size: int, noise: float, one_negative: bool = True
) -> CountBounds:
    """What is certain about the classes of a batch.

    - A class without an image in the batch has no negative entry in its row of the gradient, which is
      then a sum of products of features and probabilities. A class with an image has one wherever a
      feature is active only for its images, which is nearly always so among hundreds of features.
    - Columns that are parallel to each other, with one negative entry, belong to features that are active
      for the same single image (the zeros of ReLUs take batches apart, as in Dimitrov et al., "SPEAR: exact
      gradient inversion of batches in federated learning", NeurIPS 2024). Each such direction is an image
      of the class with that entry.

    Nothing is certain if features may be negative, or if more rows have a negative entry than there are
    images, as under noise.

    Args:
        layer: the last layer, which was looked up with dummy images.
        batch_size: B.
        noise: standard deviation of the noise on an entry of the weight gradient.
        one_negative: whether an image makes only its own class negative. With label smoothing, it makes
            others slightly negative: then the class of a direction is that of its lowest entry, and nothing
            is certain about rows.
    """
    gradient = layer.weight_gradient
    nothing = no_bounds(len(gradient), batch_size)
    largest = float(gradient.abs().max())
    if largest == 0 or float(layer.features.min()) < 0:
        return nothing
    tolerance = max(TINY * largest, 6 * noise)
    if not one_negative:
        return CountBounds(_single_images(gradient, tolerance, batch_size, one_negative), nothing.most)
    occurs = gradient.amin(dim=1) < -tolerance
    if not 1 <= int(occurs.sum()) <= batch_size:
        return nothing
    least = occurs.to(torch.int64)
    images = _single_images(gradient, tolerance, batch_size, one_negative).maximum(least)
    if int(images.sum()) <= batch_size:
        least = images
    return CountBounds(least, nothing.most.where(occurs, 0))


def _single_images(gradient: Tensor, tolerance: float, batch_size: int, one_negative: bool) -> Tensor:
    """The number of images of each class that have features of their own: (C,) int64.

    The most certain images count first, and no more than there are images.
    """
    norms = torch.linalg.vector_norm(gradient, dim=0)
    usable = norms > 100 * tolerance
    if one_negative:
        usable &= (gradient < -TINY * norms).sum(dim=0) == 1
    columns = gradient[:, usable] / norms[usable]
    owners = columns.argmin(dim=0)
    order = norms[usable].argsort(descending=True)
    sizes: list[tuple[int, int]] = []
    for owner in owners.unique().tolist():
        mine = order[owners[order] == owner][:COLUMNS]
        sizes += [(size, owner) for size in _groups(columns[:, mine])]
    sizes.sort(key=lambda pair: (-pair[0], pair[1]))
    found = torch.zeros(len(gradient), dtype=torch.int64, device="cpu")
    for _, owner in sizes[:batch_size]:
        found[owner] += 1
    return found


def _groups(columns: Tensor) -> list[int]:
    """The sizes of groups of two or more parallel columns, among normalized columns (C, N)."""
    # The sine and not the cosine, which does not tell small angles apart in time.
    parallel = (1 - (columns.t() @ columns).square()).clamp(min=0).sqrt() < PARALLEL
    sizes: list[int] = []
    while True:
        members = parallel.sum(dim=1)
        size = int(members.max()) if len(members) else 0
        if size < 2:
            return sizes
        sizes.append(size)
        first = parallel[int(members.argmax())].clone()
        parallel[first] = False
        parallel[:, first] = False
