"""What priors there are, with their stages, whether or not their weights are here."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gifd_bench.priors.base import Prior
from gifd_bench.priors.bundled import WEIGHTS, cifar10
from gifd_bench.priors.generators.biggan import BigGAN, BigGANConfig, BigGANPrior
from gifd_bench.priors.generators.dcgan import DCGAN, DCGANPrior
from gifd_bench.priors.generators.stylegan2 import StyleGAN2, StyleGAN2Config, StyleGAN2Prior
from gifd_bench.priors.generators.untrained import UntrainedPrior
from gifd_bench.priors.published import imagenet_classes

BRING = "file or hub"
# Multiples of the channel width that the blocks of the published BigGAN-deep go through, by image size.
BIGGAN = {128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1), 512: (16, 16, 8, 8, 4, 2, 1, 1)}
# Channels at 4 to 1024 pixels of the published FFHQ generator.
FFHQ = (512, 512, 512, 512, 512, 256, 128, 64, 32)


@dataclass(frozen=True)
class StageFacts:
    """A stage, and the searched tensors with the shape that they have for one image."""

    name: str
    searched: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class PriorFacts:
    """A prior as it is listed.

    Attributes:
        name: what a matrix calls it.
        variant: which of several shapes, or empty.
        size: side of the image in pixels.
        classes: how many it is conditioned on; 0 if unconditional.
        latent: numbers searched at stage 0.
        parameters: of the network.
        weights: where they come from.
        present: whether they are here without doing anything.
    """

    name: str
    variant: str
    size: int
    classes: int
    latent: int
    parameters: int
    stages: tuple[StageFacts, ...]
    weights: str
    present: bool


def overview() -> list[PriorFacts]:
    """Every prior, the published ones in their published shapes (nothing is loaded for those)."""
    found = []
    if (WEIGHTS / "cifar10.safetensors").is_file():
        found.append(_facts("cifar10", "", cifar10(), "bundled", True))
    with torch.device("meta"):
        biggans = {size: BigGAN(published_biggan(size)) for size in BIGGAN}
        faces, dcgan = StyleGAN2(StyleGAN2Config(512, 8, FFHQ)), DCGAN()
    for size, network in biggans.items():
        prior = BigGANPrior(network, imagenet_classes(1000))
        found.append(_facts("biggan", f"deep-{size}", prior, BRING, False))
    found.append(_facts("stylegan2", "ffhq", StyleGAN2Prior(faces), BRING, False))
    found.append(_facts("dcgan", "cifar10", DCGANPrior(dcgan), "file", False))
    found.append(_facts("untrained", "", UntrainedPrior(), "a seed", True))
    return found


def published_biggan(size: int) -> BigGANConfig:
    """The shape of a published BigGAN-deep (Brock et al., ICLR 2019, tables 7 to 9)."""
    layers = []
    for inputs, outputs in zip(BIGGAN[size][:-1], BIGGAN[size][1:], strict=True):
        layers += [(False, inputs, inputs), (True, inputs, outputs)]
    return BigGANConfig(
        output_dim=size,
        z_dim=128,
        channel_width=128,
        num_classes=1000,
        layers=tuple(layers),
        attention_layer_position=8,
        eps=1e-4,
        n_stats=51,
    )


def _facts(name: str, variant: str, prior: Prior, weights: str, present: bool) -> PriorFacts:
    state = prior.initial_state(torch.tensor([0]), torch.Generator())
    stages = []
    for stage in prior.stages:
        searched = {tensor: tuple(state.tensors[tensor].shape[1:]) for tensor in state.searched}
        stages.append(StageFacts(stage, searched))
        if len(stages) < len(prior.stages):
            state = prior.advance(state)
    latent = next(iter(stages[0].searched.values()))
    return PriorFacts(
        name=name,
        variant=variant,
        size=prior.image_size,
        classes=len(prior.class_names),
        latent=int(torch.Size(latent).numel()),
        parameters=sum(parameter.numel() for parameter in prior.parameters()),
        stages=tuple(stages),
        weights=weights,
        present=present,
    )
