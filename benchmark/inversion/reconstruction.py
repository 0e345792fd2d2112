"""What an attack returns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.anytime import Snapshot
from gifd_bench.benchmark.inversion.choices import Path


@dataclass(frozen=True)
class StageResult:
    """What the returned restart had found at the end of a stage.

    Attributes:
        name: the name of the stage.
        images: (B, 3, H, W) in [0, 1].
        labels: (B,) int64, in the order of the images.
        matching_loss: the matching loss of exactly these images with these labels, or with their
            probabilities.
        gradient_evaluations: the evaluations spent by the end of the stage, over all restarts so far.
        label_probabilities: (B, classes) if the attack searched them, else `None`; the labels are the most
            probable ones.
    """

    name: str
    images: Tensor
    labels: Tensor
    matching_loss: float
    gradient_evaluations: int
    label_probabilities: Tensor | None = None


@dataclass(frozen=True)
class Reconstruction:
    """The attacker's answer, which was made without the truth.

    Attributes:
        images: (B, 3, H, W) float32 in [0, 1].
        labels: (B,) int64, in the order of the images.
        label_probabilities: (B, classes) if the attack searched them, else `None`; the labels are the most
            probable ones.
        matching_loss: the matching loss of exactly these images with these labels, or with these
            probabilities.
        gradient_evaluations: how many times the victim's gradient was computed for a candidate batch, over
            all restarts.
        stages: the stages of the restart that was returned.
        curve: (iterations,) matching loss of each iterate, restart after restart.
        anytime: the answers that there would have been after 1, 2, 5, 10, ... gradient evaluations.
        path: how updates were compared: `factored` without the gradients of weights, `general` with them,
            or `mixed`; `None` if it is not known.
    """

    images: Tensor
    labels: Tensor
    matching_loss: float
    gradient_evaluations: int
    stages: tuple[StageResult, ...]
    curve: Tensor
    label_probabilities: Tensor | None = None
    path: Path | None = None
    anytime: tuple[Snapshot, ...] = ()

    @property
    def doubt(self) -> str | None:
        """Why this answer says nothing about how safe the update is; `None` if there is no doubt."""
        return doubt_about(self.matching_loss, self.curve)


# A search of fewer iterations has not had the time to come down.
ENOUGH = 50


def doubt_about(matching_loss: float, curve: Tensor) -> str | None:
    """Why a poor reconstruction is not a sign of safety, in one sentence; `None` if there is no reason.

    Args:
        matching_loss: the matching loss of the answer.
        curve: (iterations,) matching loss of each iterate.
    """
    ask = "; whoever has the images can ask gb.check_observation, or gifd-bench observe --check"
    if abs(matching_loss - 1) <= 1e-6:
        return (
            "the matching loss is 1: no candidate's update has anything in common with the observed one, "
            f"which is described wrongly, or is zero{ask}"
        )
    finite = curve[torch.isfinite(curve)]
    first = float(finite[0]) if len(finite) else math.nan
    if len(curve) >= ENOUGH and matching_loss > 0.9 * first:
        return (
            f"the matching loss has not come down (from {first:.4g} to {matching_loss:.4g}): the update is "
            f"described wrongly, or hidden by a defense, and this is not a sign of safety{ask}"
        )
    return None
