"""A class-conditional residual generator, and its stages.

Residual blocks with conditional batch normalization after Miyato and Koyama, "cGANs with projection
discriminator" (ICLR 2018), with one shared class embedding as in Brock et al., "Large scale GAN
training" (ICLR 2019).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.common.files import write_tensors
from gifd_bench.priors.generators.conditional import ConditionalPrior
from gifd_bench.priors.kinds.resnet import FORMAT, GeneratorConfig, config_of
from gifd_bench.priors.tensor_files import check_tensors, read_safetensors


class ConditionalBatchNorm(nn.Module):
    """Batch normalization whose gain and bias are linear in the condition."""

    def __init__(self, channels: int, condition_size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.affine = nn.Linear(condition_size, 2 * channels)
        nn.init.normal_(self.affine.weight, std=0.02)
        with torch.no_grad():
            self.affine.bias[:channels] = 1.0
            self.affine.bias[channels:] = 0.0

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, bias = self.affine(condition)[:, :, None, None].chunk(2, dim=1)
        out: Tensor = self.norm(x) * gain + bias
        return out


class UpBlock(nn.Module):
    """A residual block that doubles the side."""

    def __init__(self, inputs: int, outputs: int, condition_size: int) -> None:
        super().__init__()
        self.norm1 = ConditionalBatchNorm(inputs, condition_size)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = ConditionalBatchNorm(outputs, condition_size)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        hidden = F.relu(self.norm1(x, condition))
        hidden = self.conv1(F.interpolate(hidden, scale_factor=2.0, mode="nearest"))
        hidden = self.conv2(F.relu(self.norm2(hidden, condition)))
        # A 1x1 convolution and nearest upsampling commute; this order does a quarter of the work.
        out: Tensor = hidden + F.interpolate(self.skip(x), scale_factor=2.0, mode="nearest")
        return out


class ResNetGenerator(nn.Module):
    """A network from latent and class embedding to an image in [-1, 1]."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        embedding, channels = config.embedding_size, config.channels
        self.embedding = nn.Embedding(len(config.class_names), embedding)
        self.mix = nn.Linear(config.latent_size + embedding, embedding)
        self.stem = nn.Linear(config.latent_size, channels[0] * 16)
        self.blocks = nn.ModuleList(
            UpBlock(inputs, outputs, embedding) for inputs, outputs in pairwise(channels)
        )
        self.norm = nn.BatchNorm2d(channels[-1])
        self.to_rgb = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def condition(self, z: Tensor, embedding: Tensor) -> Tensor:
        """What the normalization layers see of latent and class: (B, embedding_size)."""
        mixed: Tensor = self.mix(torch.cat([z, embedding], dim=1))
        return mixed

    def start(self, z: Tensor) -> Tensor:
        """The 4x4 feature: (B, channels[0], 4, 4)."""
        flat: Tensor = self.stem(z)
        return flat.view(len(z), -1, 4, 4)

    def finish(self, feature: Tensor) -> Tensor:
        """The image that belongs to the last feature: (B, 3, size, size) in [-1, 1]."""
        return torch.tanh(self.to_rgb(F.relu(self.norm(feature))))

    def forward(self, z: Tensor, classes: Tensor) -> Tensor:
        condition = self.condition(z, self.embedding(classes))
        feature = self.start(z)
        for block in self.blocks:
            feature = block(feature, condition)
        return self.finish(feature)


class ResNetPrior(ConditionalPrior):
    """The residual generator in stages: the latent, then the inputs of each block and of the output layer.

    These features have 4x4, 8x8, ... pixels. `ConditionalPrior` says what a state holds.
    """

    def __init__(self, generator: ResNetGenerator) -> None:
        super().__init__()
        config = generator.config
        self.generator = generator
        self.stages = config.stages
        self.image_size = config.image_size
        self.class_names = config.class_names
        self.latent_size = config.latent_size
        self.layers, self.first_layers = len(generator.blocks), 0
        self.eval().requires_grad_(False)

    def embeddings(self) -> Tensor:
        return self.generator.embedding.weight

    def begin(self, z: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        return self.generator.start(z), self.generator.condition(z, embedding)

    def run(self, feature: Tensor, condition: Tensor, start: int, stop: int) -> Tensor:
        for block in self.generator.blocks[start:stop]:
            feature = block(feature, condition)
        return feature

    def finish(self, feature: Tensor, condition: Tensor) -> Tensor:
        return self.generator.finish(feature)


def save_generator(path: Path, generator: ResNetGenerator) -> None:
    """Write weights and shape; the file appears complete or not at all."""
    metadata = {"format": FORMAT, "generator": json.dumps(asdict(generator.config))}
    write_tensors(path, generator.state_dict(), metadata)


def load_generator(path: Path) -> ResNetGenerator:
    """Read a file that `save_generator` wrote.

    Raises:
        PriorError: there is no such file, it is damaged, has another format, or its tensors do not fit; the
            message names the file and the first mismatch.
    """
    tensors, metadata = read_safetensors(path)
    generator = ResNetGenerator(config_of(path, metadata))
    check_tensors(path, generator.state_dict(), tensors)
    generator.load_state_dict(tensors)
    return generator
