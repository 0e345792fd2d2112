"""Every metric of a reconstruction, per image, behind one assignment."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.scoring.assignment import assign
from gifd_bench.benchmark.scoring.lpips import Backbone, BackboneMissing, lpips
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.truth import Truth

MAX_PSNR = 100.0
METRICS = ("psnr", "ssim", "lpips_alex", "lpips_vgg", "mse", "feature_mse", "label_accuracy")


@dataclass(frozen=True)
class Scores:
    """Metrics of one reconstruction.

    Attributes:
        per_image: metric name to one value a private image, in the truth's order; null where the
            metric could not be had. PSNR is in dB, at most `MAX_PSNR`; SSIM at most 1; LPIPS and the
            two MSE at least 0; label accuracy 0 or 1.
        assignment: index of the reconstruction that answers each private image.
        reasons: why a metric is null.
        stage_psnr: mean PSNR over the images of every stage's best iterate, by the same assignment.
    """

    per_image: dict[str, list[float] | None]
    assignment: list[int]
    reasons: list[str]
    stage_psnr: list[float]

    def mean(self, metric: str) -> float | None:
        """Mean over the images, or null."""
        values = self.per_image[metric]
        return None if values is None else sum(values) / len(values)


def score(reconstruction: Reconstruction, truth: Truth, observation: Observation) -> Scores:
    """Compare a reconstruction with the truth.

    The reconstructions are assigned to the private images once (see `assign`); each metric uses that
    assignment, the labels' too.

    Args:
        reconstruction: the attack's answer.
        truth: the private batch.
        observation: for the victim, whose penultimate features are compared.

    Raises:
        ValueError: images not in [0, 1], or of another shape than the truth's.
    """
    _check_images(reconstruction.images, truth.images)
    order = assign(reconstruction.images, truth.images)
    images, labels = reconstruction.images[order], reconstruction.labels[order]
    per_image: dict[str, list[float] | None] = {
        "psnr": psnr(images, truth.images).tolist(),
        "ssim": ssim(images, truth.images).tolist(),
        "mse": mse(images, truth.images).tolist(),
        "label_accuracy": (labels == truth.labels).float().tolist(),
    }
    reasons = []
    features = feature_mse(images, truth.images, observation)
    per_image["feature_mse"] = None if features is None else features.tolist()
    if features is None:
        reasons.append(f"feature_mse: model '{observation.model.name}' has no linear layer")
    backbones: tuple[Backbone, ...] = ("alex", "vgg")
    for backbone in backbones:
        try:
            per_image[f"lpips_{backbone}"] = lpips(images, truth.images, backbone)
        except BackboneMissing as missing:
            per_image[f"lpips_{backbone}"] = None
            reasons.append(str(missing))
    stages = [float(psnr(s.images[order], truth.images).mean()) for s in reconstruction.stages]
    return Scores(per_image, order.tolist(), reasons, stages)


def psnr(images: Tensor, truths: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each pair in dB, for a range of 1, at most `MAX_PSNR` (equal
    images would give infinity, and one such image an infinite mean)."""
    values: Tensor = peak_signal_noise_ratio(
        images, truths, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return values.clamp(max=MAX_PSNR)


def ssim(images: Tensor, truths: Tensor) -> Tensor:
    """Structural similarity of each pair (Wang et al., 2004), for a range of 1: an 11x11 Gaussian window
    of width 1.5 at every pixel, the borders reflected, as torchmetrics does it."""
    values = structural_similarity_index_measure(images, truths, data_range=1.0, reduction="none")
    assert isinstance(values, Tensor)
    return values.reshape(len(images))


def mse(images: Tensor, truths: Tensor) -> Tensor:
    """Mean squared error of each pair, for a range of 1."""
    return (images - truths).square().flatten(1).mean(dim=1)


@torch.no_grad()
def feature_mse(images: Tensor, truths: Tensor, observation: Observation) -> Tensor | None:
    """Mean squared difference of what enters the victim's last linear layer, for each pair; null for a
    victim that has none."""
    victim = observation.victim()
    layers = [module for module in victim.modules() if isinstance(module, nn.Linear)]
    if not layers:
        return None
    seen: list[Tensor] = []
    handle = layers[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (observation.mean, observation.std))
    for batch in (images, truths):
        victim((batch - mean) / std)
    handle.remove()
    return (seen[0] - seen[1]).square().flatten(1).mean(dim=1)


def _check_images(images: Tensor, truths: Tensor) -> None:
    if images.shape != truths.shape:
        raise ValueError(f"images of shape {tuple(images.shape)}, not {tuple(truths.shape)}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"images are not in [0, 1] but in [{low:.3g}, {high:.3g}]")
