"""All metrics of a reconstruction, for each image, with one assignment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.anytime import Snapshot
from gifd_bench.benchmark.inversion.assignment import assign
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.results.record import DistractorRecord, MomentRecord
from gifd_bench.benchmark.scoring.base import Metric, MetricMissing
from gifd_bench.benchmark.scoring.identification import Lineup
from gifd_bench.benchmark.scoring.metrics import PSNR, psnr
from gifd_bench.benchmark.scoring.registry import (
    IDENTIFIED,
    IDENTIFIED_TOP5,
    LABEL_ACCURACY,
    METRICS,
)
from gifd_bench.common.errors import one_line
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.truth import Truth

# An image counts for the looser share if its place is among this many.
TOP = 5


@dataclass(frozen=True)
class Scores:
    """The metrics of one reconstruction.

    Attributes:
        per_image: one value for each private image, in the truth's order, by the name of the metric; `None`
            if the metric was not available. PSNR is in dB; SSIM is at most 1; LPIPS and the two MSE are at
            least 0; label accuracy and identification are 0 or 1.
        assignment: index of the reconstruction that belongs to each private image.
        reasons: why a metric was not available, one line for each.
        stage_psnr: mean PSNR over the images of every stage's best iterate, with the same assignment.
        distractors: the other images among which the private ones were to be found; `None` if
            identification was not computed.
        moments: what earlier answers were worth, each with an assignment of its own.
    """

    per_image: dict[str, list[float] | None]
    assignment: list[int]
    reasons: list[str]
    stage_psnr: list[float]
    distractors: DistractorRecord | None = None
    moments: tuple[MomentRecord, ...] = ()

    def mean(self, metric: str) -> float | None:
        """The mean over the images, or `None`."""
        values = self.per_image[metric]
        return None if values is None else sum(values) / len(values)


def score(
    reconstruction: Reconstruction,
    truth: Truth,
    observation: Observation | None = None,
    extra: Mapping[str, Metric] | None = None,
    lineup: Lineup | None = None,
) -> Scores:
    """Compare a reconstruction with the truth.

    The reconstructions are assigned to the private images once, so that the sum of squared errors is the
    least. Every metric uses this assignment, label accuracy too. A metric that fails does not affect the
    others.

    Args:
        reconstruction: the attack's answer.
        truth: the private batch.
        observation: what was attacked, for metrics that need the victim; without it, these are missing.
        extra: metrics in addition to the bundled ones, by the name of their column.
        lineup: other images of the dataset; with them, the scores say which private images are identified,
            at the first place and among the first five.

    Returns:
        The scores, one value for each metric and private image.

    Raises:
        ValueError: the images are not in [0, 1], or have another shape than the truth.
    """
    _check_images(reconstruction.images, truth.images)
    order = assign(reconstruction.images, truth.images)
    images, labels = reconstruction.images[order], reconstruction.labels[order]
    metrics = {name: METRICS.find(name)() for name in METRICS.bundled} | dict(extra or {})
    per_image: dict[str, list[float] | None] = {}
    reasons = []
    for name, metric in metrics.items():
        try:
            per_image[name] = values_of(metric, images, truth.images, observation)
        except MetricMissing as missing:
            per_image[name] = None
            reasons.append(f"{name}: {missing}")
        except Exception as error:  # Anybody's metric, which must not cost the cell its other numbers.
            per_image[name] = None
            reasons.append(f"{name}: {type(error).__name__}: {one_line(error)}")
    per_image[LABEL_ACCURACY] = (labels == truth.labels).float().tolist()
    stages = [float(psnr(stage.images[order], truth.images).mean()) for stage in reconstruction.stages]
    distractors = None
    if lineup is not None:
        ranks, distractors = lineup.ranks(images, truth.images)
        per_image[IDENTIFIED] = (ranks == 1).float().tolist()
        per_image[IDENTIFIED_TOP5] = (ranks <= TOP).float().tolist()
    moments = tuple(_moment(snapshot, truth.images, lineup) for snapshot in reconstruction.anytime)
    return Scores(per_image, order.tolist(), reasons, stages, distractors, moments)


def worth_of(images: Tensor, truths: Tensor, lineup: Lineup | None) -> dict[str, float]:
    """The worth of an answer that was not the last one: PSNR and, with other images, identification.

    Args:
        images: (B, C, H, W) in [0, 1], in any order.
        truths: (B, C, H, W), the private images.
        lineup: other images of the dataset.

    Returns:
        Means over the images, by metric.
    """
    images = images[assign(images, truths)]
    worth = {PSNR.name: float(psnr(images, truths).mean())}
    if lineup is not None:
        worth[IDENTIFIED] = float((lineup.ranks(images, truths)[0] == 1).float().mean())
    return worth


def _moment(snapshot: Snapshot, truths: Tensor, lineup: Lineup | None) -> MomentRecord:
    worth = worth_of(snapshot.images, truths, lineup)
    return MomentRecord(
        snapshot.gradient_evaluations,
        snapshot.seconds,
        float(snapshot.matching_loss),
        worth[PSNR.name],
        worth.get(IDENTIFIED),
    )


def values_of(
    metric: Metric, images: Tensor, truths: Tensor, observation: Observation | None
) -> list[float]:
    """A metric's value for each pair.

    Raises:
        MetricMissing: it is not available, or does not give one finite number for each pair.
    """
    with torch.no_grad():
        values = metric(images.clone(), truths.clone(), observation)
    if not isinstance(values, Tensor) or values.shape != (len(images),):
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise MetricMissing(f"it gives {shape}, not one number for each of {len(images)} images")
    if not bool(torch.isfinite(values).all()):
        raise MetricMissing("it gives a value that is not finite")
    return [float(value) for value in values]


def _check_images(images: Tensor, truths: Tensor) -> None:
    if images.shape != truths.shape:
        raise ValueError(f"images of shape {tuple(images.shape)}, not {tuple(truths.shape)}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"images are not in [0, 1] but in [{low:.3g}, {high:.3g}]")
