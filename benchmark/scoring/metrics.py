"""The bundled metrics."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from gifd_bench.benchmark.scoring.base import Metric, MetricMissing
from gifd_bench.benchmark.scoring.lpips import Backbone, lpips
from gifd_bench.tasks.observation import Observation

MAX_PSNR = 100.0
# The radius of the window of SSIM; nearer to the edge, a part of the window would lie outside of the
# image.
BORDER = 5


def psnr(images: Tensor, truths: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each pair in dB: (B,), for images in [0, 1], at most `MAX_PSNR`.

    Without this limit, equal images would give infinity, and one such image an infinite mean.
    """
    values: Tensor = peak_signal_noise_ratio(
        images, truths, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return values.clamp(max=MAX_PSNR)


class PSNR(Metric):
    """Peak signal-to-noise ratio in dB, for images in [0, 1], at most `MAX_PSNR`."""

    name: ClassVar[str] = "psnr"
    higher_is_better: ClassVar[bool] = True

    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        return psnr(images, truths)


class SSIM(Metric):
    """Structural similarity (Wang et al., 2004), for images in [0, 1]; at most 1.

    It has an 11x11 Gaussian window of width 1.5, at every place where the whole window lies within the
    image, and is a mean over the colors. scikit-image (`gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False`) and the authors' code compute the same.
    """

    name: ClassVar[str] = "ssim"
    higher_is_better: ClassVar[bool] = True

    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        if min(images.shape[-2:]) <= 2 * BORDER:
            raise MetricMissing(f"its window needs images of at least {2 * BORDER + 1} pixels a side")
        # In float64: the variances are small differences of large numbers.
        found = structural_similarity_index_measure(
            images.double(), truths.double(), data_range=1.0, reduction="none", return_full_image=True
        )
        inner = found[1][..., BORDER:-BORDER, BORDER:-BORDER]
        return inner.flatten(1).mean(dim=1).float()


class MSE(Metric):
    """Mean squared error, for images in [0, 1]."""

    name: ClassVar[str] = "mse"
    higher_is_better: ClassVar[bool] = False

    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        return (images - truths).square().flatten(1).mean(dim=1)


class FeatureMSE(Metric):
    """Mean squared difference of penultimate features: the inputs of the victim's last linear layer.

    Other code calls other quantities by this name: features of a network that was trained separately from
    the victim, or the squared difference summed over the features and not averaged. The victim here is the
    one under attack, as it was when the update was computed, with images normalized as its client does. The
    mean is over the features of an image. Values of different victims cannot be compared.
    """

    name: ClassVar[str] = "feature_mse"
    higher_is_better: ClassVar[bool] = False

    @torch.no_grad()
    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        if observation is None:
            raise MetricMissing("it needs the observation, for the victim")
        victim = observation.victim()
        layers = [module for module in victim.modules() if isinstance(module, nn.Linear)]
        if not layers:
            raise MetricMissing(f"model '{observation.model.name}' has no linear layer")
        seen: list[Tensor] = []
        handle = layers[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        mean, std = (
            torch.tensor(values, device=images.device).view(-1, 1, 1)
            for values in (observation.mean, observation.std)
        )
        try:
            for batch in (images, truths):
                victim((batch - mean) / std)
        finally:
            handle.remove()
        return (seen[0] - seen[1]).square().flatten(1).mean(dim=1)


class LPIPS(Metric):
    """Learned perceptual distance (Zhang et al., CVPR 2018), with images scaled to [-1, 1]."""

    backbone: ClassVar[Backbone]
    higher_is_better: ClassVar[bool] = False

    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        return torch.tensor(lpips(images, truths, self.backbone))


class LPIPSAlex(LPIPS):
    """LPIPS with AlexNet's features."""

    name: ClassVar[str] = "lpips_alex"
    backbone: ClassVar[Backbone] = "alex"


class LPIPSVGG(LPIPS):
    """LPIPS with VGG-16's features."""

    name: ClassVar[str] = "lpips_vgg"
    backbone: ClassVar[Backbone] = "vgg"
