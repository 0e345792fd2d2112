"""A convolutional generator with more weights than its images have pixels."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

LATENT = 128
NARROWEST = 32


class OverParameterizedNetwork(nn.Module):
    """A network from latents (B, 128) to images (B, C, H, W) in [0, 1].

    After the release of Zhang et al. (ICCV 2023), it has a 4x4 transposed convolution, then two 3x3
    convolutions at each resolution, each with batch normalization and a leaky ReLU, and nearest upsampling
    between resolutions.

    Up to 32x32 pixels all features have `width` channels, then a half and a quarter of them. That release
    also normalizes the convolutions spectrally; before a batch normalization, this changes nothing. The
    statistics are always those of the batch. There are no buffers, so the weights are everything.

    Args:
        shape: (C, H, W) of an image in pixels; sides other than 4, 8, 16, ... are pooled from the next
            larger one.
        width: channels, a multiple of 4.
        seed: the seed of the weights.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, seed: int = 0) -> None:
        super().__init__()
        self.size = shape[1:]
        resolutions = [4]
        while resolutions[-1] < max(self.size):
            resolutions.append(2 * resolutions[-1])
        channels = [width // min(4, max(1, resolution // 32)) for resolution in resolutions]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.start = nn.Sequential(nn.ConvTranspose2d(LATENT, width, 4), *_normalized(width))
            self.blocks = nn.ModuleList(
                nn.Sequential(*_convolution(inputs, outputs), *_convolution(outputs, outputs))
                for inputs, outputs in zip([width, *channels], channels, strict=False)
            )
            self.to_rgb = nn.Conv2d(channels[-1], shape[0], 1)

    def forward(self, latents: Tensor) -> Tensor:
        feature: Tensor = self.start(latents[:, :, None, None])
        for resolution, block in enumerate(self.blocks):
            feature = block(F.interpolate(feature, scale_factor=2.0) if resolution else feature)
        images: Tensor = (torch.tanh(self.to_rgb(feature)) + 1) / 2
        if images.shape[2:] == self.size:
            return images
        return F.interpolate(images, size=self.size, mode="area")


class Architecture:
    """The network without weights of its own.

    Args:
        shape, width: as in `OverParameterizedNetwork`.
    """

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        self.shape, self.width = shape, width
        with torch.device("meta"):
            self._network = OverParameterizedNetwork(shape, width)

    def weights(self, seed: int) -> dict[str, Tensor]:
        """The weights with which a network starts, by name."""
        network = OverParameterizedNetwork(self.shape, self.width, seed)
        return {name: weight.detach() for name, weight in network.named_parameters()}

    def images(self, latents: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Images (B, C, H, W) in [0, 1], from latents (B, LATENT)."""
        images: Tensor = functional_call(self._network, dict(weights), (latents,))
        return images


def wide_enough(shape: tuple[int, int, int], batch: int, factor: float) -> int:
    """The width whose network has more than `factor` weights for each pixel of the batch.

    It is 32, doubled as often as needed. The channels of a pixel count as one, as in the release.
    """
    widths = (NARROWEST << k for k in itertools.count())
    pixels = shape[1] * shape[2]
    return next(width for width in widths if _weights(shape, width) > factor * batch * pixels)


def _weights(shape: tuple[int, int, int], width: int) -> int:
    with torch.device("meta"):
        network = OverParameterizedNetwork(shape, width)
    counts: list[int] = [weight.numel() for weight in network.parameters()]
    return sum(counts)


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), *_normalized(outputs)]


def _normalized(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels, track_running_stats=False), nn.LeakyReLU(0.1)]
