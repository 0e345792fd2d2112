"""Priors whose weights others have published: a user brings the files."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from timm.data.imagenet_info import ImageNetInfo
from torch import Tensor

from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.generators.biggan import BigGAN, BigGANConfig, BigGANPrior, fold, published_shapes
from gifd_bench.priors.generators.dcgan import DCGAN, DCGANPrior
from gifd_bench.priors.generators.stylegan2 import StyleGAN2, StyleGAN2Config, StyleGAN2Prior
from gifd_bench.priors.hub import Source
from gifd_bench.priors.tensor_files import check_tensors, read_generator, read_state_dict

# Keys of the published config.json that say nothing new.
REDUNDANT = {"class_embed_dim"}
# Ends of the names of BigGAN's files; of several, the first that is there.
BIGGAN_CONFIG = ("config.json",)
BIGGAN_WEIGHTS = ("pytorch_model.bin", "model.safetensors")


def biggan(
    weights: Path | None = None,
    repository: str | None = None,
    revision: str | None = None,
    download: bool = False,
    truncation: float = 1.0,
    released_statistics: bool = False,
) -> BigGANPrior:
    """BigGAN-deep (ImageNet, 128 to 512 pixels, class-conditional), the prior of the GIFD paper.

    Args:
        weights: folder with `pytorch_model.bin` and `config.json`, as published.
        repository: else, a Hugging Face repository that holds these two files.
        revision: its commit.
        download: fetch them if they are not in the local cache.
        truncation: picks the batch statistics.
        released_statistics: between two truncations, interpolate the statistics with exchanged weights, as
            pytorch-pretrained-biggan does; for comparison only.
    """
    if not 0 < truncation <= 1:
        raise PriorError(f"biggan: truncation must be above 0 and at most 1, not {truncation}")
    source = Source(weights, repository, revision, download)
    config = _biggan_config(source.file(*BIGGAN_CONFIG))
    path = source.file(*BIGGAN_WEIGHTS)
    published = read_state_dict(path)
    check_tensors(path, published_shapes(config), published)
    network = BigGAN(config)
    network.load_state_dict(fold(published, config, truncation, released_statistics))
    return BigGANPrior(network, imagenet_classes(config.num_classes))


def stylegan2(
    weights: Path | None = None,
    repository: str | None = None,
    filename: str = "stylegan2-ffhq-config-f.pt",
    revision: str | None = None,
    download: bool = False,
) -> StyleGAN2Prior:
    """StyleGAN2 (FFHQ faces at 1024 pixels, or any size), from a `g_ema` state dict.

    Args:
        weights: a file with the state dict, or with one under `g_ema` as the PyTorch port saves it.
        repository: else, a Hugging Face repository.
        filename: of the file in it.
        revision: its commit.
        download: fetch it if it is not in the local cache.
    """
    path = weights or Source(None, repository, revision, download).file(filename)
    tensors = read_generator(path)
    network = StyleGAN2(_stylegan2_config(path, tensors))
    check_tensors(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return StyleGAN2Prior(network)


def dcgan(weights: Path | None = None) -> DCGANPrior:
    """DCGAN at 32x32 (CIFAR-10, unconditional), the prior of GIAS for small images.

    Args:
        weights: a file with the generator's state dict.
    """
    if weights is None:
        raise PriorError("dcgan: no weights: give a file with the generator's state dict")
    tensors = read_state_dict(weights)
    try:
        latent_size, width = tensors["main.0.weight"].shape[0], tensors["main.10.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise PriorError(f"{weights}: not a DCGAN generator for 32x32 ({error} is missing)") from error
    network = DCGAN(latent_size, width)
    check_tensors(weights, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return DCGANPrior(network)


def _stylegan2_config(path: Path, tensors: dict[str, Tensor]) -> StyleGAN2Config:
    """The shape that the tensors' own shapes tell."""
    blocks = sum(name.endswith(".conv.blur.kernel") for name in tensors)
    mapping = sum(name.startswith("style.") and name.endswith(".weight") for name in tensors)
    try:
        inputs = [tensors["conv1.conv.weight"].shape[1]]
        outputs = [tensors[f"convs.{2 * k + 1}.conv.weight"].shape[1] for k in range(blocks)]
        style = tensors["conv1.conv.modulation.weight"].shape[1]
    except (KeyError, IndexError) as error:
        raise PriorError(f"{path}: not a StyleGAN2 generator ({error} is missing or no weight)") from error
    return StyleGAN2Config(style, mapping, (*inputs, *outputs))


@lru_cache(maxsize=2)
def imagenet_classes(count: int) -> tuple[str, ...]:
    """WordNet ids of ILSVRC's classes by index; plain numbers for another count."""
    if count != 1000:
        return tuple(str(index) for index in range(count))
    return tuple(ImageNetInfo().label_names())  # type: ignore[no-untyped-call]


def _biggan_config(path: Path) -> BigGANConfig:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("not a mapping")
        known = {field.name for field in fields(BigGANConfig)}
        odd = (known ^ values.keys()) - REDUNDANT
        if odd:
            raise ValueError(f"key '{min(odd)}' is missing or unknown")
        values = {key: value for key, value in values.items() if key in known}
        values["layers"] = tuple((bool(up), int(i), int(o)) for up, i, o in values["layers"])
        config = BigGANConfig(**values)
        side = 4 * 2 ** sum(up for up, _, _ in config.layers)
        widths = [width for _, *pair in config.layers for width in pair]
        chained = all(a[2] == b[1] for a, b in zip(config.layers[:-1], config.layers[1:], strict=True))
        sizes = (config.z_dim, config.channel_width, config.num_classes, config.n_stats - 1, *widths)
        if side != config.output_dim or not chained or not all(0 < s <= 1 << 16 for s in sizes):
            raise ValueError("its layers do not make up a generator of that size")
    except (OSError, ValueError, TypeError) as error:
        raise PriorError(f"{path}: not a BigGAN configuration ({error})") from error
    return config
