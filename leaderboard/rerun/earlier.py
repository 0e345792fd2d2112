"""The answers that an attack would have given earlier, as its own process reports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gifd_bench.leaderboard.rerun.child import EARLIER_EVALUATIONS, EARLIER_IMAGES, MOST_EARLIER
from gifd_bench.leaderboard.rerun.errors import RerunFailed


@dataclass(frozen=True)
class Earlier:
    """An earlier answer.

    Attributes:
        gradient_evaluations: the evaluations spent until then. The process of the attack reports them
            itself, so a curve of these is shown, and never ranked.
        images: (B, C, H, W) float32 in [0, 1].
    """

    gradient_evaluations: int
    images: Tensor


def taken_from(tensors: dict[str, Tensor], shape: Sequence[int]) -> tuple[Earlier, ...]:
    """The earlier answers among tensors, from which they are removed.

    Args:
        tensors: a stranger's tensors; without earlier answers, they hold neither of the two.
        shape: (B, C, H, W), the shape of the images of one answer.

    Returns:
        The answers by increasing evaluations.

    Raises:
        RerunFailed: they are anything else.
    """
    if not {EARLIER_IMAGES, EARLIER_EVALUATIONS} & tensors.keys():
        return ()
    images, evaluations = tensors.pop(EARLIER_IMAGES, None), tensors.pop(EARLIER_EVALUATIONS, None)
    if images is None or evaluations is None or evaluations.dtype != torch.int64 or evaluations.ndim != 1:
        raise _invalid("the earlier answers have no evaluations")
    count = len(evaluations)
    if count > MOST_EARLIER or images.dtype != torch.float32 or images.shape != (count, *shape):
        raise _invalid(f"the earlier answers are {images.dtype} of shape {tuple(images.shape)}")
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise _invalid("earlier images are not numbers in [0, 1]")
    marks = evaluations.tolist()
    if any(mark < 1 for mark in marks) or any(a >= b for a, b in pairwise(marks)):
        raise _invalid("the evaluations of earlier answers do not rise from 1 on")
    return tuple(Earlier(mark, answer_images) for mark, answer_images in zip(marks, images, strict=True))


def within(earlier: Sequence[Earlier], spent: int) -> tuple[Earlier, ...]:
    """The answers before the end, without those that claim as many evaluations as were spent in all."""
    return tuple(one for one in earlier if one.gradient_evaluations < spent)


def as_tensors(earlier: Sequence[Earlier]) -> Mapping[str, Tensor]:
    """The answers in the form that `taken_from` reads; empty if there are none."""
    if not earlier:
        return {}
    return {
        EARLIER_IMAGES: torch.stack([one.images for one in earlier]),
        EARLIER_EVALUATIONS: torch.tensor([one.gradient_evaluations for one in earlier]),
    }


def _invalid(what: str) -> RerunFailed:
    return RerunFailed(f"the attack wrote no valid answer: {what}")
