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


def psnr(images: Tensor, truths: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each pair in dB: (B,), for a range of 1, at most `MAX_PSNR`; equal
    images would give infinity, and one such image an infinite mean."""
    values: Tensor = peak_signal_noise_ratio(
        images, truths, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return values.clamp(max=MAX_PSNR)


class PSNR(Metric):
    """Peak signal-to-noise ratio in dB, for a range of 1, at most `MAX_PSNR`."""

    name: ClassVar[str] = "psnr"
    higher_is_better: ClassVar[bool] = True

    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        return psnr(images, truths)


class SSIM(Metric):
    """Structural similarity (Wang et al., 2004), for a range of 1: an 11x11 Gaussian window of width 1.5 at
    every pixel, the borders reflected, as torchmetrics does it."""

    name: ClassVar[str] = "ssim"
    higher_is_better: ClassVar[bool] = True

    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        values = structural_similarity_index_measure(images, truths, data_range=1.0, reduction="none")
        assert isinstance(values, Tensor)
        return values.reshape(len(images))


class MSE(Metric):
    """Mean squared error, for a range of 1."""

    name: ClassVar[str] = "mse"
    higher_is_better: ClassVar[bool] = False

    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        return (images - truths).square().flatten(1).mean(dim=1)


class FeatureMSE(Metric):
    """Mean squared difference of what enters the victim's last linear layer (penultimate features)."""

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
    """Learned perceptual distance (Zhang et al., CVPR 2018), with images brought to [-1, 1]."""

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
