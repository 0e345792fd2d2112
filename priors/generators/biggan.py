"""BigGAN-deep and its stages.

Brock et al., "Large scale GAN training for high fidelity natural image synthesis", ICLR 2019, appendix B.
Tensor names and shapes are those of the published PyTorch weights (`biggan-deep-128/256/512`). Two things
are computed once, when the weights are loaded: a spectrally normalized weight is divided by its norm, and
the batch statistics are those of one truncation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.priors.generators.conditional import ConditionalPrior
from gifd_bench.priors.kinds.biggan import BigGANConfig
from gifd_bench.priors.tensor_files import check_tensors, read_state_dict


class TruncatedNorm(nn.Module):
    """Batch normalization with the running statistics of latents at one truncation.

    Args:
        channels: the number of channels of its input.
        condition: the length of a condition from which gain and bias are computed; `None` for a gain and a
            bias that are learned.
    """

    def __init__(self, channels: int, condition: int | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("inverse_std", torch.ones(channels))
        self.channels, self.conditional = channels, condition is not None
        if condition is None:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))
        else:
            self.scale = nn.Linear(condition, channels, bias=False)
            self.offset = nn.Linear(condition, channels, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        if self.conditional:
            gain, bias = 1 + self.scale(condition), self.offset(condition)
        else:
            gain, bias = self.weight[None], self.bias[None]
        # One multiplication and one addition over the feature map.
        gain = gain * self.inverse_std
        bias = bias - self.mean * gain
        out: Tensor = x * gain[:, :, None, None] + bias[:, :, None, None]
        return out


class BigGANBlock(nn.Module):
    """A bottleneck block: 1x1, 3x3, 3x3 and 1x1 convolutions.

    The shortcut drops half of the channels, and the block may double the side.
    """

    def __init__(self, inputs: int, outputs: int, condition: int, upsample: bool) -> None:
        super().__init__()
        middle = inputs // 4
        self.upsample, self.outputs = upsample, outputs
        self.bn_0 = TruncatedNorm(inputs, condition)
        self.conv_0 = nn.Conv2d(inputs, middle, 1)
        self.bn_1 = TruncatedNorm(middle, condition)
        self.conv_1 = nn.Conv2d(middle, middle, 3, padding=1)
        self.bn_2 = TruncatedNorm(middle, condition)
        self.conv_2 = nn.Conv2d(middle, middle, 3, padding=1)
        self.bn_3 = TruncatedNorm(middle, condition)
        self.conv_3 = nn.Conv2d(middle, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        hidden = self.conv_0(F.relu(self.bn_0(x, condition)))
        hidden = self._resize(F.relu(self.bn_1(hidden, condition)))
        hidden = self.conv_2(F.relu(self.bn_2(self.conv_1(hidden), condition)))
        hidden = self.conv_3(F.relu(self.bn_3(hidden, condition)))
        out: Tensor = hidden + self._resize(x[:, : self.outputs])
        return out

    def _resize(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="nearest") if self.upsample else x


class Attention(nn.Module):
    """Self-attention over positions (Zhang et al., "Self-attention GANs", ICML 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.snconv1x1_theta = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.snconv1x1_phi = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.snconv1x1_g = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.snconv1x1_o_conv = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        queries = self.snconv1x1_theta(x).flatten(2)
        keys = F.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        values = F.max_pool2d(self.snconv1x1_g(x), 2).flatten(2)
        weights = torch.softmax(queries.transpose(1, 2) @ keys, dim=-1)
        attended = (values @ weights.transpose(1, 2)).view(len(x), -1, *x.shape[2:])
        out: Tensor = x + self.gamma * self.snconv1x1_o_conv(attended)
        return out


class BigGANGenerator(nn.Module):
    """The network from the condition (latent and class embedding) to the image."""

    def __init__(self, config: BigGANConfig) -> None:
        super().__init__()
        width, condition = config.channel_width, 2 * config.z_dim
        self.gen_z = nn.Linear(condition, 16 * 16 * width)
        layers: list[nn.Module] = []
        for position, (upsample, inputs, outputs) in enumerate(config.layers):
            if position == config.attention_layer_position:
                layers.append(Attention(inputs * width))
            layers.append(BigGANBlock(inputs * width, outputs * width, condition, upsample))
        self.layers = nn.ModuleList(layers)
        self.bn = TruncatedNorm(width)
        self.conv_to_rgb = nn.Conv2d(width, width, 3, padding=1)

    def start(self, condition: Tensor) -> Tensor:
        """The 4x4 feature; the published weights order its entries by height, width and channel."""
        flat: Tensor = self.gen_z(condition)
        return flat.view(len(flat), 4, 4, -1).permute(0, 3, 1, 2)

    def finish(self, feature: Tensor, condition: Tensor) -> Tensor:
        """The image that belongs to the last feature: (B, 3, size, size) in [-1, 1]."""
        hidden = F.relu(self.bn(feature, condition))
        # The published layer has as many outputs as inputs, of which three are used.
        rgb = F.conv2d(hidden, self.conv_to_rgb.weight[:3], self.conv_to_rgb.bias[:3], padding=1)  # type: ignore[index]
        return torch.tanh(rgb)


class BigGAN(nn.Module):
    """Class embedding and generator, under the published names."""

    def __init__(self, config: BigGANConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = nn.Linear(config.num_classes, config.z_dim, bias=False)
        self.generator = BigGANGenerator(config)


class BigGANPrior(ConditionalPrior):
    """BigGAN-deep in the stages of GIFD: the latent, then the feature after each layer.

    Fang et al., ICCV 2023, section 4.1, give 13 stages for 256 pixels; the attention layer counts, and the
    last layer does not. `ConditionalPrior` says what a state holds.
    """

    def __init__(self, network: BigGAN, class_names: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.layers, self.first_layers = len(network.generator.layers), 1
        self.stages = network.config.stages
        self.image_size = network.config.output_dim
        self.class_names = class_names
        self.latent_size = network.config.z_dim
        self.eval().requires_grad_(False)

    def embeddings(self) -> Tensor:
        return self.network.embeddings.weight.T

    def begin(self, z: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        condition = torch.cat([z, embedding], dim=1)
        return self.network.generator.start(condition), condition

    def run(self, feature: Tensor, condition: Tensor, start: int, stop: int) -> Tensor:
        for layer in self.network.generator.layers[start:stop]:
            feature = layer(feature, condition)
        return feature

    def finish(self, feature: Tensor, condition: Tensor) -> Tensor:
        return self.network.generator.finish(feature, condition)


def load_biggan(
    path: Path, config: BigGANConfig, truncation: float, released_statistics: bool
) -> BigGANPrior:
    """The prior of a published weights file.

    Args:
        path: the file.
        config: the shape of the generator.
        truncation: as in `fold`.
        released_statistics: as in `fold`.

    Raises:
        PriorError: there is no such file, it is damaged, or its tensors do not fit the configuration.
    """
    published = read_state_dict(path)
    check_tensors(path, published_shapes(config), published)
    network = BigGAN(config)
    network.load_state_dict(fold(published, config, truncation, released_statistics))
    return BigGANPrior(network, imagenet_classes(config.num_classes))


def empty_biggan(config: BigGANConfig) -> BigGANPrior:
    """The prior without weights (on the meta device)."""
    with torch.device("meta"):
        network = BigGAN(config)
    return BigGANPrior(network, imagenet_classes(config.num_classes))


@lru_cache(maxsize=2)
def imagenet_classes(count: int) -> tuple[str, ...]:
    """WordNet ids of ILSVRC's classes by index; plain numbers for another count."""
    if count != 1000:
        return tuple(str(index) for index in range(count))
    # Imported here, because all of timm comes with it.
    from timm.data.imagenet_info import ImageNetInfo

    return tuple(ImageNetInfo().label_names())  # type: ignore[no-untyped-call]


def fold(
    published: Mapping[str, Tensor], config: BigGANConfig, truncation: float, released_statistics: bool
) -> dict[str, Tensor]:
    """Turn published tensors into those of `BigGAN`, for one truncation.

    Args:
        published: the published state dict.
        config: the shape of the generator.
        truncation: determines the batch statistics; in (0, 1].
        released_statistics: whether to interpolate the statistics between two truncations the wrong way
            around, as the package pytorch-pretrained-biggan does (its two interpolation weights are
            exchanged).
    """
    folded: dict[str, Tensor] = {}
    for name, tensor in published.items():
        stem, _, last = name.rpartition(".")
        if last == "weight_orig":
            left, right = published[f"{stem}.weight_u"], published[f"{stem}.weight_v"]
            folded[f"{stem}.weight"] = tensor / torch.dot(left, tensor.flatten(1) @ right)
        elif last == "running_means":
            folded[f"{stem}.mean"] = _at(tensor, truncation, released_statistics)
        elif last == "running_vars":
            variance = _at(tensor, truncation, released_statistics)
            folded[f"{stem}.inverse_std"] = (variance + config.eps).rsqrt()
        elif last not in ("weight_u", "weight_v"):
            folded[name] = tensor
    return folded


def published_shapes(config: BigGANConfig) -> dict[str, Tensor]:
    """Every tensor of the published format, without values (on the meta device)."""
    with torch.device("meta"):
        network = BigGAN(config)
        shapes: dict[str, Tensor] = {}
        for name, module in network.named_modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)) and name != "embeddings":
                matrix = module.weight.flatten(1)
                shapes[f"{name}.weight_orig"] = module.weight
                shapes[f"{name}.weight_u"] = torch.empty(matrix.shape[0])
                shapes[f"{name}.weight_v"] = torch.empty(matrix.shape[1])
                if module.bias is not None:
                    shapes[f"{name}.bias"] = module.bias
            elif isinstance(module, TruncatedNorm):
                for statistic in ("running_means", "running_vars"):
                    shapes[f"{name}.{statistic}"] = torch.empty(config.n_stats, module.channels)
                shapes |= {f"{name}.{n}": p for n, p in module.named_parameters(recurse=False)}
            elif isinstance(module, Attention):
                shapes[f"{name}.gamma"] = module.gamma
        shapes["embeddings.weight"] = network.embeddings.weight
    return shapes


def _at(statistics: Tensor, truncation: float, released: bool) -> Tensor:
    """Batch statistics (n_stats, C) at a truncation, interpolated linearly between the two nearest."""
    if released:
        # As the package computes it, with what rounding leaves at 0.14, 0.28, 0.56, 0.58 and 0.94.
        fraction, whole = math.modf(truncation / (1 / (len(statistics) - 1)))
        below = int(whole)
        return (
            torch.lerp(statistics[below], statistics[below + 1], 1 - fraction)
            if fraction
            else statistics[below]
        )
    position = truncation * (len(statistics) - 1)
    below = min(math.floor(position + 1e-9), len(statistics) - 1)
    fraction = max(0.0, position - below)
    return (
        statistics[below]
        if fraction < 1e-9
        else torch.lerp(statistics[below], statistics[below + 1], fraction)
    )
