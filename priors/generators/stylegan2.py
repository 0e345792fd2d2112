"""StyleGAN2 and its stages.

Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020. Tensor names and shapes
are those of the `g_ema` state dict of the widespread PyTorch port (rosinality/stylegan2-pytorch). All
operations are plain convolutions, so they run on the CPU and can be differentiated twice. A modulated
convolution scales its input and its output for each sample, in place of its weights (section 2.2): the
result is the same, without separate weights for each sample.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.common.pixels import valid_pixels
from gifd_bench.priors.base import Prior, State, normal
from gifd_bench.priors.kinds.stylegan2 import StyleGAN2Config, config_of
from gifd_bench.priors.tensor_files import check_tensors, read_generator

GAIN = math.sqrt(2)
SLOPE = 0.2
# Samples of the mapping network that the latent Gaussian is fitted to.
FIT = 10_000


class EqualLinear(nn.Module):
    """A linear layer whose weights are scaled at run time (the equalized learning rate of the paper)."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class Kernel(nn.Module):
    """A blur kernel that comes with the weights: (4, 4), applied to each channel separately."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.zeros(4, 4))

    def blur(self, x: Tensor) -> Tensor:
        """Filter (B, C, H, W) to (B, C, H - 1, W - 1): one pixel of padding on each side."""
        flipped = self.kernel.flip(0, 1)[None, None]
        blurred = F.conv2d(x.flatten(0, 1)[:, None], flipped, padding=1)
        return blurred.view(*x.shape[:2], *blurred.shape[2:])

    def upsample(self, x: Tensor) -> Tensor:
        """Double the side of (B, C, H, W): zeros between the pixels, then the filter."""
        spread = F.conv_transpose2d(x.flatten(0, 1)[:, None], self.kernel[None, None], stride=2, padding=1)
        return spread.view(*x.shape[:2], *spread.shape[2:])


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a style (equations 1 and 3 of the paper)."""

    def __init__(
        self, inputs: int, outputs: int, size: int, style: int, demodulate: bool, upsample: bool
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, outputs, inputs, size, size))
        self.modulation = EqualLinear(style, inputs)
        self.scale = 1 / math.sqrt(inputs * size**2)
        self.demodulate = demodulate
        if upsample:
            self.blur = Kernel()
        self.upsample = upsample

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.weight[0] * self.scale
        factors = self.modulation(style)
        x = x * factors[:, :, None, None]
        if self.upsample:
            x = self.blur.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            # The norm of the scaled weights, from the sums that no style changes.
            energy = factors.square() @ weight.square().sum(dim=(2, 3)).T
            x = x * (energy + 1e-8).rsqrt()[:, :, None, None]
        return x


class Noise(nn.Module):
    """The strength with which a layer's noise map is added."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class Activate(nn.Module):
    """Bias, leaky ReLU, and the gain that keeps the variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias[:, None, None], SLOPE) * GAIN


class StyledConv(nn.Module):
    """Modulated convolution, noise and activation."""

    def __init__(self, inputs: int, outputs: int, style: int, upsample: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style, demodulate=True, upsample=upsample)
        self.noise = Noise()
        self.activate = Activate(outputs)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        out: Tensor = self.activate(self.conv(x, style) + self.noise.weight * noise)
        return out


class ToRGB(nn.Module):
    """A feature's share of the image, added to the upsampled share of the smaller features."""

    def __init__(self, inputs: int, style: int, upsample: bool = True) -> None:
        super().__init__()
        if upsample:
            self.upsample = Kernel()
        self.conv = ModulatedConv(inputs, 3, 1, style, demodulate=False, upsample=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None) -> Tensor:
        out: Tensor = self.conv(x, style) + self.bias
        return out if skip is None else out + self.upsample.upsample(skip)


class Constant(nn.Module):
    """The learned 4x4 input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.zeros(1, channels, 4, 4))


class NoiseMaps(nn.Module):
    """The fixed noise maps that come with the weights; a search draws its own."""

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        for layer in range(2 * len(config.channels) - 1):
            side = 4 * 2 ** ((layer + 1) // 2)
            self.register_buffer(f"noise_{layer}", torch.zeros(1, 1, side, side))


class PixelNorm(nn.Module):
    """Scale a latent to unit mean square."""

    def forward(self, z: Tensor) -> Tensor:
        return z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class MappingLayer(EqualLinear):
    """A layer of the mapping network, up to its activation."""

    def __init__(self, size: int) -> None:
        super().__init__(size, size, rate=0.01)


class StyleGAN2(nn.Module):
    """The generator, under the names of the port."""

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        style, channels = config.style_dim, config.channels
        self.style = nn.Sequential(
            PixelNorm(), *(MappingLayer(style) for _ in range(config.mapping_layers))
        )
        self.input = Constant(channels[0])
        self.conv1 = StyledConv(channels[0], channels[0], style)
        self.to_rgb1 = ToRGB(channels[0], style, upsample=False)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for inputs, outputs in pairwise(channels):
            self.convs.append(StyledConv(inputs, outputs, style, upsample=True))
            self.convs.append(StyledConv(outputs, outputs, style))
            self.to_rgbs.append(ToRGB(outputs, style))
        self.noises = NoiseMaps(config)

    def mapping(self, z: Tensor) -> Tensor:
        """The mapping network up to its last activation: (B, style_dim) to the same."""
        norm, *layers = self.style
        x: Tensor = norm(z)
        for layer in layers[:-1]:
            x = styles(layer(x))
        last: Tensor = layers[-1](x)
        return last

    def block(self, k: int, x: Tensor, skip: Tensor, w: Tensor, noises: tuple[Tensor, Tensor]) -> Tensor:
        """Block k >= 1, from the feature and the running image at 2^(k+1) pixels to twice that."""
        first, second = self.convs[2 * k - 2], self.convs[2 * k - 1]
        x = first(x, w[:, 2 * k - 1], noises[0])
        feature: Tensor = second(x, w[:, 2 * k], noises[1])
        return feature

    def start(self, w: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The 4x4 feature and the 4x4 image."""
        x = self.conv1(self.input.input.expand(len(w), -1, -1, -1), w[:, 0], noise)
        return x, self.to_rgb1(x, w[:, 1], None)


def styles(x: Tensor) -> Tensor:
    """The last activation of the mapping network."""
    return F.leaky_relu(x, SLOPE) * GAIN


class StyleGAN2Prior(Prior):
    """StyleGAN2 in stages that follow the resolution.

    Stage 0 searches `latent` (B, latents, style_dim) and the first five noise maps. Stage k searches the
    `feature` that enters block k, still the latent, and the noise maps up to 4 + 2k, as in the release of
    GIFD (its configuration for StyleGAN2). The running image `skip` (B, 3, S, S) of the blocks before is
    part of a later state and is held fixed: without it, the image jumps at each boundary, as it does in
    that release.

    A latent is standard normal. It becomes a style by the Gaussian that the mapping network's output has
    before its last activation, and by that activation (after Menon et al., "PULSE", CVPR 2020, whose fitted
    numbers the release of GIFD needs as a file). Mean and standard deviation are computed from the weights
    when a prior is made.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: StyleGAN2) -> None:
        super().__init__()
        self.network = network
        self.stages = network.config.stages
        self.image_size = network.config.image_size
        self.class_names = ()
        self.noise_maps = frozenset(map(_noise, range(2 * len(network.config.channels) - 1)))
        self.eval().requires_grad_(False)
        z = torch.randn(FIT, network.config.style_dim, generator=torch.Generator().manual_seed(0))
        outputs = network.mapping(z.to(network.input.input))
        self.register_buffer("mean", outputs.mean(dim=0))
        self.register_buffer("deviation", outputs.std(dim=0))

    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        config, batch = self.network.config, len(classes)
        latent = normal(batch, config.latents, config.style_dim, generator=generator)
        tensors = {"latent": latent.to(self.mean)}
        for layer in range(2 * len(config.channels) - 1):
            side = 4 * 2 ** ((layer + 1) // 2)
            noise = normal(batch, 1, side, side, generator=generator)
            tensors[_noise(layer)] = noise.to(self.mean)
        return State(0, tensors, self._searched(0, tensors))

    def advance(self, state: State) -> State:
        feature, skip = self._run(state, stop=state.stage + 1)
        stage = state.stage + 1
        # What the blocks before have used up is no longer part of the state.
        ahead = {"latent", *map(_noise, range(2 * stage - 1, len(self.noise_maps)))}
        rest = {name: tensor for name, tensor in state.tensors.items() if name in ahead}
        tensors = {**rest, "feature": feature, "skip": skip}
        return State(stage, tensors, self._searched(stage, tensors))

    def generate(self, state: State) -> Tensor:
        _, image = self._run(state, stop=len(self.stages))
        return valid_pixels((image + 1) / 2)

    def _run(self, state: State, stop: int) -> tuple[Tensor, Tensor]:
        """The feature that enters block `stop`, and the running image there."""
        tensors, network = state.tensors, self.network
        w = styles(self.mean + self.deviation * tensors["latent"])
        if state.stage == 0:
            (feature, skip), block = network.start(w, tensors[_noise(0)]), 1
        else:
            feature, skip, block = tensors["feature"], tensors["skip"], state.stage
        for k in range(block, stop):
            noises = tensors[_noise(2 * k - 1)], tensors[_noise(2 * k)]
            feature = network.block(k, feature, skip, w, noises)
            skip = network.to_rgbs[k - 1](feature, w[:, 2 * k + 1], skip)
        return feature, skip

    def _searched(self, stage: int, tensors: dict[str, Tensor]) -> tuple[str, ...]:
        noises = map(_noise, range(5 + 2 * stage))
        features = ("feature",) if stage else ()
        return (*features, "latent", *(noise for noise in noises if noise in tensors))


def _noise(layer: int) -> str:
    """The name of a layer's noise map."""
    return f"noise {layer}"


def load_stylegan2(path: Path) -> StyleGAN2Prior:
    """The prior of a weights file.

    Raises:
        PriorError: there is no such file, it is damaged, or its tensors are not those of a generator.
    """
    tensors = read_generator(path, "g_ema")
    network = StyleGAN2(config_of(path, {name: tuple(tensor.shape) for name, tensor in tensors.items()}))
    check_tensors(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return StyleGAN2Prior(network)


def empty_stylegan2(config: StyleGAN2Config) -> StyleGAN2Prior:
    """The prior without weights (on the meta device)."""
    with torch.device("meta"):
        network = StyleGAN2(config)
    return StyleGAN2Prior(network)
