"""The priors that `gifd-bench train-prior` makes: the bundled one, and a user's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.base import Prior, PriorKind, Variant, stages_by_side
from gifd_bench.priors.kinds.weight_files import absent_file, read_header

FORMAT = "gifd-bench/resnet-generator/1"
_CIFAR10 = Path(__file__).parents[1] / "weights" / "cifar10.safetensors"


@dataclass(frozen=True)
class GeneratorConfig:
    """The shape of a generator.

    Attributes:
        class_names: names of the classes, in the order of the labels.
        latent_size: entries of the latent z.
        embedding_size: entries of the class embedding, and of the condition.
        channels: channels of the 4x4 feature, then of each block's output. Every block doubles the side, so
            four entries render 32x32 pixels and five render 64x64.
    """

    class_names: tuple[str, ...]
    latent_size: int = 128
    embedding_size: int = 64
    channels: tuple[int, ...] = (256, 192, 128, 64)

    @property
    def image_size(self) -> int:
        """Side of the rendered image in pixels."""
        return int(4 * 2 ** (len(self.channels) - 1))

    @property
    def stages(self) -> tuple[str, ...]:
        """The latent, then the feature that enters each block and the output layer."""
        return stages_by_side(len(self.channels))


def config_of(path: Path, metadata: Mapping[str, str]) -> GeneratorConfig:
    """The shape that the metadata of a weights file describe.

    Raises:
        PriorError: they have another format, or do not describe a generator; the message names the file.
    """
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "none")
        raise PriorError(f"{path}: weights of format '{FORMAT}' expected, found '{found}'")
    try:
        values: dict[str, Any] = json.loads(metadata.get("generator", ""))
        known = {field.name for field in fields(GeneratorConfig)}
        if set(values) != known:
            raise ValueError(f"keys {sorted(values)}")
        config = GeneratorConfig(
            class_names=tuple(str(name) for name in values["class_names"]),
            latent_size=int(values["latent_size"]),
            embedding_size=int(values["embedding_size"]),
            channels=tuple(int(width) for width in values["channels"]),
        )
        sizes = (config.latent_size, config.embedding_size, len(config.class_names), *config.channels)
        if len(config.channels) > 8 or not all(1 <= size <= 1 << 14 for size in sizes):
            raise ValueError(f"sizes {sizes}")
    except (ValueError, TypeError, AttributeError) as error:
        raise PriorError(f"{path}: its metadata describes no generator ({error})") from error
    return config


def cifar10() -> Prior:
    """A conditional residual generator at 32x32, trained on CIFAR-10; its weights are bundled."""
    return generator_file(_CIFAR10)


def generator_file(weights: Path) -> Prior:
    """A generator that `gifd-bench train-prior` wrote.

    Args:
        weights: its safetensors file.
    """
    from gifd_bench.priors.generators.resnet import ResNetPrior, load_generator

    return ResNetPrior(load_generator(weights))


def _stage_names(weights: Path | str | None) -> tuple[str, ...] | None:
    if weights is None or absent_file(weights):
        return None
    path = Path(weights)
    return config_of(path, read_header(path).metadata).stages


CIFAR10 = PriorKind(
    factory=cifar10,
    origin="bundled",
    stage_names=lambda _: _stage_names(_CIFAR10),
    absent_files=lambda _: absent_file(_CIFAR10),
    variants=(Variant("", 32, 10, 128, 2_004_483, stages_by_side(4), cifar10),),
)
GENERATOR_FILE = PriorKind(
    factory=generator_file,
    origin="your file",
    stage_names=lambda arguments: _stage_names(arguments["weights"]),
    absent_files=lambda arguments: absent_file(arguments["weights"]),
)
