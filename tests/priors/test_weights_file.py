"""Weights files: a round trip, and every way that a file can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.generators.resnet import ResNetGenerator, load_generator, save_generator
from gifd_bench.priors.kinds.resnet import FORMAT, generator_file


@pytest.fixture
def path(tmp_path: Path, tiny_generator: ResNetGenerator) -> Path:
    save_generator(tmp_path / "tiny.safetensors", tiny_generator)
    return tmp_path / "tiny.safetensors"


def rewrite(path: Path, tensors: dict[str, torch.Tensor], generator: object, form: str = FORMAT) -> None:
    save_file(tensors, path, metadata={"format": form, "generator": json.dumps(generator)})


CONFIG = {"class_names": ["cat", "dog"], "latent_size": 8, "embedding_size": 4, "channels": [8, 8, 8, 8]}


def test_round_trip(path: Path, tiny_generator: ResNetGenerator) -> None:
    loaded = load_generator(path)
    assert loaded.config == tiny_generator.config
    for name, tensor in tiny_generator.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])
    assert list(path.parent.iterdir()) == [path]


def expect(path: Path, message: str) -> None:
    with pytest.raises(PriorError) as error:
        generator_file(path)
    text = str(error.value)
    assert str(path) in text
    assert message in text
    assert "\n" not in text


def test_missing_file(tmp_path: Path) -> None:
    expect(tmp_path / "none.safetensors", "no such weights file")


@pytest.mark.parametrize("keep", [0, 4, 100, 5000])
def test_truncated_file(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    expect(path, "damaged")


def test_a_pickle_is_not_read(path: Path, tiny_generator: ResNetGenerator) -> None:
    torch.save(tiny_generator, path)
    expect(path, "damaged")


def test_another_format(path: Path) -> None:
    rewrite(path, load_file(path), CONFIG, form="somebody/else/1")
    expect(path, "found 'somebody/else/1'")


@pytest.mark.parametrize(
    "config",
    ["{", [], {}, {**CONFIG, "channels": [1 << 40]}, {**CONFIG, "latent_size": -1}, {**CONFIG, "x": 1}],
)
def test_metadata_of_no_generator(path: Path, config: object) -> None:
    rewrite(path, load_file(path), config)
    expect(path, "describes no generator")


def test_missing_tensor(path: Path) -> None:
    tensors = load_file(path)
    del tensors["stem.weight"]
    rewrite(path, tensors, CONFIG)
    expect(path, "'stem.weight' is missing")


def test_unexpected_tensor(path: Path) -> None:
    rewrite(path, {**load_file(path), "more": torch.zeros(1)}, CONFIG)
    expect(path, "'more' is unexpected")


def test_file_for_another_size(path: Path) -> None:
    rewrite(path, load_file(path), {**CONFIG, "latent_size": 16})
    expect(path, "tensor 'mix.weight' has shape (4, 12), not (4, 20)")
