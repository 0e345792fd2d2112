"""A small instance of every bundled prior: random weights, in the format of the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from gifd_bench.priors.base import Prior
from gifd_bench.priors.generators.resnet import ResNetGenerator, save_generator
from gifd_bench.priors.kinds.resnet import GeneratorConfig
from gifd_bench.priors.registry import PRIORS

# One class of the photographs and one that they do not have.
TINY = GeneratorConfig(class_names=("cat", "dog"), latent_size=8, embedding_size=4, channels=(8, 8, 8, 8))


def make_tiny_generator(seed: int = 0) -> ResNetGenerator:
    """A generator whose every part matters: random weights, random batch statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = ResNetGenerator(TINY)
        for name, tensor in generator.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(std=0.2)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
    return generator.eval()


@dataclass(frozen=True)
class SmallPrior:
    """A bundled prior with options that make it small."""

    name: str
    options: Mapping[str, Any]

    def make(self) -> Prior:
        return PRIORS.make(self.name, self.options)


def make_small(name: str, folder: Path) -> SmallPrior:
    """A small instance; its weights are written into the folder."""
    return SmallPrior(name, _options(name, folder))


def _options(name: str, folder: Path) -> dict[str, Any]:
    if name == "generator_file":
        save_generator(folder / "tiny.safetensors", make_tiny_generator())
        return {"weights": folder / "tiny.safetensors"}
    if name == "biggan":
        pytest.importorskip("pytorch_pretrained_biggan")
        from tests.priors import test_biggan

        torch.save(test_biggan.published().state_dict(), folder / "pytorch_model.bin")
        (folder / "config.json").write_text(json.dumps(test_biggan.TINY))
        return {"weights": folder}
    if name == "stylegan2":
        from tests.priors import test_stylegan2

        torch.save(test_stylegan2.published(), folder / "stylegan2.pt")
        return {"weights": folder / "stylegan2.pt"}
    if name == "dcgan":
        from tests.priors import test_dcgan

        torch.save(test_dcgan.published(), folder / "dcgan.pth")
        return {"weights": folder / "dcgan.pth"}
    return {"width": 8} if name == "untrained" else {}
