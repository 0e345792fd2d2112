"""A generator on disk: one safetensors file whose metadata says what shape it has."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from priors.errors import PriorError
from priors.generators.resnet import Generator, GeneratorConfig

FORMAT = "gifd-bench/resnet-generator/1"


def save_generator(path: Path, generator: Generator) -> None:
    """Write weights and shape; the file appears whole or not at all."""
    tensors = {name: tensor.contiguous() for name, tensor in generator.state_dict().items()}
    metadata = {"format": FORMAT, "generator": json.dumps(asdict(generator.config))}
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata=metadata)
    partial.replace(path)


def load_generator(path: Path) -> Generator:
    """Read a file that `save_generator` wrote.

    Raises:
        PriorError: no such file, damaged, of another format, or of tensors that do not fit; the
            message names the file and the first mismatch.
    """
    if not path.is_file():
        raise PriorError(f"{path}: no such weights file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise PriorError(f"{path}: damaged weights file ({error})") from error
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "none")
        raise PriorError(f"{path}: weights of format '{FORMAT}' expected, found '{found}'")
    generator = Generator(_config(path, metadata.get("generator", "")))
    _check(path, generator.state_dict(), tensors)
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


def _check(path: Path, wanted: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> None:
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise PriorError(f"{path}: tensor '{name}' is missing")
        if name not in wanted:
            raise PriorError(f"{path}: tensor '{name}' is unexpected")
        if wanted[name].shape != found[name].shape:
            shapes = f"{tuple(found[name].shape)}, not {tuple(wanted[name].shape)}"
            raise PriorError(f"{path}: tensor '{name}' has shape {shapes}")
