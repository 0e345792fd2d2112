"""What an attack returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gifd_bench.benchmark.inversion.choices import Path


@dataclass(frozen=True)
class StageResult:
    """What the returned restart had found at the end of a stage.

    Attributes:
        name: of the stage.
        images: (B, 3, H, W) in [0, 1].
        labels: (B,) int64, in the order of the images.
        matching_loss: of exactly these images with these labels, or with their probabilities.
        gradient_evaluations: spent by the end of the stage, over all restarts so far.
        label_probabilities: (B, classes), where the attack searched them; the labels are the likeliest.
    """

    name: str
    images: Tensor
    labels: Tensor
    matching_loss: float
    gradient_evaluations: int
    label_probabilities: Tensor | None = None


@dataclass(frozen=True)
class Reconstruction:
    """The attacker's answer, made without the truth.

    Attributes:
        images: (B, 3, H, W) float32 in [0, 1].
        labels: (B,) int64, in the order of the images.
        label_probabilities: (B, classes), where the attack searched them; the labels are the likeliest.
        matching_loss: of exactly these images with these labels, or with these probabilities.
        gradient_evaluations: how many times the victim's gradient was computed for a candidate batch,
            over all restarts.
        stages: the stages of the restart that was returned.
        curve: (iterations,) matching loss of each iterate, restart after restart.
        path: how updates were matched: `factored` without the gradients of weights, `general` with them, or
            `mixed`; None where it is not known.
    """

    images: Tensor
    labels: Tensor
    matching_loss: float
    gradient_evaluations: int
    stages: tuple[StageResult, ...]
    curve: Tensor
    label_probabilities: Tensor | None = None
    path: Path | None = None
