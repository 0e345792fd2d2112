"""A generator on disk: one safetensors file whose metadata says what shape it has."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from gifd_bench.common.files import write_tensors
from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.generators.resnet import Generator, GeneratorConfig
from gifd_bench.priors.tensor_files import check_tensors, read_safetensors

FORMAT = "gifd-bench/resnet-generator/1"


def save_generator(path: Path, generator: Generator) -> None:
    """Write weights and shape; the file appears whole or not at all."""
    metadata = {"format": FORMAT, "generator": json.dumps(asdict(generator.config))}
    write_tensors(path, generator.state_dict(), metadata)


def load_generator(path: Path) -> Generator:
    """Read a file that `save_generator` wrote.

    Raises:
        PriorError: no such file, damaged, of another format, or of tensors that do not fit; the
            message names the file and the first mismatch.
    """
    tensors, metadata = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "none")
        raise PriorError(f"{path}: weights of format '{FORMAT}' expected, found '{found}'")
    generator = Generator(_config(path, metadata.get("generator", "")))
    check_tensors(path, generator.state_dict(), tensors)
    generator.load_state_dict(tensors)
    return generator


def _config(path: Path, text: str) -> GeneratorConfig:
    try:
        values: dict[str, Any] = json.loads(text)
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
