"""Keeping the best iterate of a stage, without ever waiting for the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Candidate:
    """Images and the matching loss of exactly these images, as one object.

    Attributes:
        stage: name of the stage that they come from.
        images: (B, 3, H, W) in [0, 1].
        matching_loss: scalar tensor.
    """

    stage: str
    images: Tensor
    matching_loss: Tensor


class LowestMatchingLoss:
    """The iterate with the lowest matching loss so far.

    The comparison stays on the device: a `where`, not a branch.
    """

    def __init__(self) -> None:
        self.loss: Tensor | None = None
        self.images: Tensor | None = None

    def offer(self, loss: Tensor, images: Tensor) -> None:
        """Show one iterate: its matching loss (scalar) and its images."""
        loss, images = loss.detach(), images.detach()
        if self.loss is None or self.images is None:
            self.loss, self.images = loss.clone(), images.clone()
            return
        # No iterate is better by being not finite, and any is better than one that is not.
        better = (loss < self.loss) | ~torch.isfinite(self.loss)
        self.loss = torch.where(better, loss, self.loss)
        self.images = torch.where(better, images, self.images)

    def candidate(self, stage: str) -> Candidate:
        """The best iterate seen, under the stage's name."""
        if self.loss is None or self.images is None:
            raise RuntimeError("no iterate was offered")
        return Candidate(stage, self.images, self.loss)
