"""Pictures of a result for trackers, large enough to be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.scoring.scorer import Scores
from gifd_bench.tasks.truth import Truth

MIN_SIDE = 128


@dataclass(frozen=True)
class TrackedPicture:
    """Images side by side.

    Attributes:
        image: (H, W, 3) uint8.
        caption: what they are, from left to right.
    """

    image: NDArray[np.uint8]
    caption: str


def pairs(reconstruction: Reconstruction, scores: Scores, truth: Truth) -> list[TrackedPicture]:
    """Every private image with the reconstruction that belongs to it."""
    answers = reconstruction.images[scores.assignment]
    psnr = scores.per_image["psnr"] or []
    return [
        TrackedPicture(side_by_side([private, answer]), f"truth, {decibels:.2f} dB")
        for private, answer, decibels in zip(truth.images, answers, psnr, strict=True)
    ]


def strips(reconstruction: Reconstruction, scores: Scores, truth: Truth) -> list[TrackedPicture]:
    """Every private image after what each stage made of it; none if there was only one stage."""
    stages = reconstruction.stages
    if len(stages) < 2:
        return []
    named = [f"{s.name} {db:.2f} dB" for s, db in zip(stages, scores.stage_psnr, strict=True)]
    over = " (PSNR: means over the batch)" if len(truth.images) > 1 else ""
    return [
        TrackedPicture(
            side_by_side([*(stage.images[answer] for stage in stages), private]),
            f"{', '.join(named)}, truth{over}",
        )
        for private, answer in zip(truth.images, scores.assignment, strict=True)
    ]


def side_by_side(images: Sequence[Tensor]) -> NDArray[np.uint8]:
    """Images (3, H, W) in [0, 1], joined to one (H, W, 3) of at least `MIN_SIDE` pixels in height.

    Pixels are repeated, and not smoothed.
    """
    row = torch.cat(list(images), dim=-1)
    factor = max(1, -(-MIN_SIDE // row.shape[-2]))
    bigger = row.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)
    pixels: NDArray[np.uint8] = (bigger * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return pixels
