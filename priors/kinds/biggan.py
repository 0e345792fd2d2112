"""The published files and shapes of BigGAN-deep.

Brock et al., "Large scale GAN training for high fidelity natural image synthesis", ICLR 2019.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.base import Prior, PriorKind, Variant
from gifd_bench.priors.kinds.weight_files import Source, are_fetched

# Ends of the names of the published files; of several, the first that is there.
_CONFIG = ("config.json",)
_WEIGHTS = ("pytorch_model.bin", "model.safetensors")
# Keys of the published config.json that say nothing new.
_REDUNDANT = {"class_embed_dim"}
# Multiples of the channel width that the published blocks go through, by image size (ibid., tables 7 to 9).
_WIDTHS = {128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1), 512: (16, 16, 8, 8, 4, 2, 1, 1)}
# Parameters of the published generators, by image size.
_PARAMETERS = {128: 50_388_609, 256: 55_880_833, 512: 56_163_905}


@dataclass(frozen=True)
class BigGANConfig:
    """The shape of a generator, with the keys of the published `config.json`.

    Attributes:
        output_dim: side of the image in pixels.
        z_dim: entries of the latent, and of the class embedding.
        channel_width: channels of the last layer.
        num_classes: the number of classes.
        layers: (upsample, inputs, outputs) of each block, in multiples of `channel_width`.
        attention_layer_position: the block before which the attention layer is inserted.
        eps: the epsilon of the normalization layers.
        n_stats: the number of truncations, evenly spaced over [0, 1], for which there are batch statistics.
    """

    output_dim: int
    z_dim: int
    channel_width: int
    num_classes: int
    layers: tuple[tuple[bool, int, int], ...]
    attention_layer_position: int
    eps: float
    n_stats: int

    @property
    def stages(self) -> tuple[str, ...]:
        """The latent, then the feature after each layer except the last; the attention layer counts."""
        layers = len(self.layers) + (self.attention_layer_position in range(len(self.layers)))
        return ("latent", *(f"layer {k}" for k in range(1, layers)))


def published_biggan(size: int) -> BigGANConfig:
    """The shape of the published generator for images of 128, 256 or 512 pixels."""
    layers: list[tuple[bool, int, int]] = []
    for inputs, outputs in pairwise(_WIDTHS[size]):
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


def read_config(path: Path) -> BigGANConfig:
    """The shape that a `config.json` describes.

    Raises:
        PriorError: it does not describe one; the message names the file.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("not a mapping")
        known = {field.name for field in fields(BigGANConfig)}
        odd = (known ^ values.keys()) - _REDUNDANT
        if odd:
            raise ValueError(f"key '{min(odd)}' is missing or unknown")
        values = {key: value for key, value in values.items() if key in known}
        values["layers"] = tuple((bool(up), int(i), int(o)) for up, i, o in values["layers"])
        config = BigGANConfig(**values)
        side = 4 * 2 ** sum(up for up, _, _ in config.layers)
        widths = [width for _, *pair in config.layers for width in pair]
        chained = all(a[2] == b[1] for a, b in pairwise(config.layers))
        sizes = (config.z_dim, config.channel_width, config.num_classes, config.n_stats - 1, *widths)
        if side != config.output_dim or not chained or not all(0 < s <= 1 << 16 for s in sizes):
            raise ValueError("the layers do not make up a generator of that size")
    except (OSError, ValueError, TypeError) as error:
        raise PriorError(f"{path}: not a BigGAN configuration ({error})") from error
    return config


def biggan(
    weights: Path | None = None,
    repository: str | None = None,
    revision: str | None = None,
    download: bool = False,
    truncation: float = 1.0,
    released_statistics: bool = False,
) -> Prior:
    """BigGAN-deep (ImageNet, 128 to 512 pixels, class-conditional), the prior of the GIFD paper.

    Args:
        weights: a folder with `pytorch_model.bin` and `config.json`, as published.
        repository: in place of `weights`, a Hugging Face repository that holds these two files.
        revision: the commit of the repository.
        download: whether to download the files if they are not in the local cache.
        truncation: determines the batch statistics; above 0 and at most 1.
        released_statistics: whether to interpolate the statistics between two truncations with exchanged
            weights, as pytorch-pretrained-biggan does; for comparison only.
    """
    if not 0 < truncation <= 1:
        raise PriorError(f"biggan: truncation must be above 0 and at most 1, not {truncation}")
    source = Source(weights, repository, revision, download)
    config, path = read_config(source.file(*_CONFIG)), source.file(*_WEIGHTS)
    from gifd_bench.priors.generators.biggan import load_biggan

    return load_biggan(path, config, truncation, released_statistics)


def _source(arguments: Mapping[str, Any]) -> Source:
    """Where the files are; nothing is downloaded."""
    weights = arguments["weights"]
    folder = None if weights is None else Path(weights)
    return Source(folder, arguments["repository"], arguments["revision"])


def _stage_names(arguments: Mapping[str, Any]) -> tuple[str, ...] | None:
    source = _source(arguments)
    return None if source.absent(_CONFIG) else read_config(source.file(*_CONFIG)).stages


def _empty(config: BigGANConfig) -> Prior:
    from gifd_bench.priors.generators.biggan import empty_biggan

    return empty_biggan(config)


def _variant(config: BigGANConfig) -> Variant:
    return Variant(
        name=f"deep-{config.output_dim}",
        image_size=config.output_dim,
        classes=config.num_classes,
        latent=config.z_dim,
        parameters=_PARAMETERS[config.output_dim],
        stages=config.stages,
        network=partial(_empty, config),
    )


BIGGAN = PriorKind(
    factory=biggan,
    origin="file or hub",
    stage_names=_stage_names,
    absent_files=lambda arguments: _source(arguments).absent(_CONFIG, _WEIGHTS),
    are_fetched=are_fetched,
    variants=tuple(_variant(published_biggan(size)) for size in _WIDTHS),
)
