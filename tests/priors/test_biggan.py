"""BigGAN against the package that published its PyTorch weights."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gifd_bench.priors.base import Prior
from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.generators.biggan import published_shapes
from gifd_bench.priors.kinds.biggan import biggan, published_biggan

reference = pytest.importorskip("pytorch_pretrained_biggan", reason="the test extra is not installed")

# The published generator for 256 pixels in little: an odd number of blocks of each kind, attention inside.
LAYERS = [[False, 16, 16], [True, 16, 8], [False, 8, 8], [True, 8, 4]]
TINY: dict[str, Any] = {
    "output_dim": 16,
    "z_dim": 6,
    "class_embed_dim": 6,
    "channel_width": 4,
    "num_classes": 5,
    "layers": LAYERS,
    "attention_layer_position": 2,
    "eps": 1e-4,
    "n_stats": 51,
}
# A block can only halve its channels, and the last one ends at the channel width itself.
TINY["layers"] = [*LAYERS, [False, 4, 2], [False, 2, 1]]


def published(config: dict[str, Any] = TINY) -> Any:
    """The package's generator with random weights, none of which is without effect."""
    torch.manual_seed(0)
    model = reference.BigGAN(reference.BigGANConfig(**config))
    for name, tensor in model.state_dict().items():
        if name.endswith("running_vars"):
            tensor.uniform_(0.5, 2)
        elif name.endswith(("running_means", "gamma", "bias")):
            tensor.normal_(std=0.3)
        elif name.endswith("bn.weight"):
            tensor.uniform_(0.5, 2)
    model(torch.randn(2, 6), torch.eye(5)[:2], 1.0)  # a step of power iteration
    return model.eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.save(published().state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    return tmp_path


def images(prior: Prior, z: Tensor, classes: Tensor) -> Tensor:
    state = prior.initial_state(classes, torch.Generator())
    return prior.render(type(state)(0, {**state.tensors, "z": z}, state.searched))


@pytest.mark.parametrize("truncation", [1.0, 0.4, 0.02])
def test_the_image_is_that_of_the_package(folder: Path, truncation: float) -> None:
    z, classes = torch.randn(3, 6), torch.tensor([4, 0, 2])
    with torch.no_grad():
        expected = (published()(z, torch.eye(5)[classes], truncation) + 1) / 2
    found = images(biggan(folder, truncation=truncation), z, classes)
    assert float(found.std()) > 0.05
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_between_two_truncations_the_package_exchanges_the_weights(folder: Path) -> None:
    truncation = 0.435  # three quarters of the way from 0.42 to 0.44
    z, classes = torch.randn(2, 6), torch.tensor([1, 3])
    with torch.no_grad():
        expected = (published()(z, torch.eye(5)[classes], truncation) + 1) / 2
        # The package at the mirrored point of the interval is right at this one.
        right = (published()(z, torch.eye(5)[classes], 0.425) + 1) / 2
    released = images(biggan(folder, truncation=truncation, released_statistics=True), z, classes)
    ours = images(biggan(folder, truncation=truncation), z, classes)
    torch.testing.assert_close(released, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(ours, right, atol=1e-4, rtol=0)
    assert float((ours - released).abs().max()) > 1e-3


@pytest.mark.parametrize("truncation", [0.14, 0.28, 0.56, 0.58, 0.94])
def test_what_rounding_takes_for_between_two_has_the_neighbors_statistics(
    folder: Path, truncation: float
) -> None:
    z, classes = torch.randn(2, 6), torch.tensor([1, 3])
    with torch.no_grad():
        expected = (published()(z, torch.eye(5)[classes], truncation) + 1) / 2
    released = images(biggan(folder, truncation=truncation, released_statistics=True), z, classes)
    ours = images(biggan(folder, truncation=truncation), z, classes)
    torch.testing.assert_close(released, expected, atol=1e-4, rtol=0)
    assert float((ours - released).abs().max()) > 1e-3


@pytest.mark.parametrize("size", [128, 256, 512])
def test_the_published_sizes_have_no_missing_and_no_unexpected_tensor(size: int) -> None:
    config = published_config(size)
    assert published_biggan(size).layers == tuple(tuple(layer) for layer in config["layers"])
    with torch.device("meta"):
        theirs = reference.BigGAN(reference.BigGANConfig(**config)).state_dict()
    ours = published_shapes(published_biggan(size))
    assert {n: tuple(t.shape) for n, t in ours.items()} == {n: tuple(t.shape) for n, t in theirs.items()}


def published_config(size: int) -> dict[str, Any]:
    """The layers of the published config.json (Brock et al., tables 7 to 9)."""
    widths = {128: [16, 16, 8, 4, 2, 1], 256: [16, 16, 8, 8, 4, 2, 1], 512: [16, 16, 8, 8, 4, 2, 1, 1]}[
        size
    ]
    layers = []
    for inputs, outputs in pairwise(widths):
        layers += [[False, inputs, inputs], [True, inputs, outputs]]
    return {
        **{"output_dim": size, "z_dim": 128, "class_embed_dim": 128, "channel_width": 128},
        **{
            "num_classes": 1000,
            "layers": layers,
            "attention_layer_position": 8,
            "eps": 1e-4,
            "n_stats": 51,
        },
    }


def expect(folder: Path, message: str) -> None:
    with pytest.raises(PriorError) as error:
        biggan(folder)
    assert message in str(error.value)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files(tmp_path: Path, folder: Path) -> None:
    (folder / "pytorch_model.bin").unlink()
    expect(folder, "holds no pytorch_model.bin")
    with pytest.raises(PriorError, match="give a folder"):
        biggan()


def test_files_under_their_published_names(folder: Path) -> None:
    for name in ("pytorch_model.bin", "config.json"):
        (folder / name).rename(folder / f"biggan-deep-16-{name}")
    assert biggan(folder).image_size == 16
    (folder / "biggan-deep-32-config.json").write_text("{}")
    expect(folder, "holds 2 files named *config.json")


def test_a_pickle_with_code_is_not_run(folder: Path, tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"generator": Code()}, folder / "pytorch_model.bin")
    expect(folder, "holds more than tensors")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("keep", [0, 100, 20_000])
def test_a_truncated_download(folder: Path, keep: int) -> None:
    path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:keep])
    expect(folder, "pytorch_model.bin")


def test_a_file_for_another_size(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**TINY, "channel_width": 8}))
    expect(folder, "tensor 'generator.bn.bias' has shape (4,), not (8,)")


@pytest.mark.parametrize(
    "change", [{"layers": [[False, 16, 16]]}, {"z_dim": -3}, {"z_dim": "x"}, {"more": 1}, {"layers": 3}]
)
def test_a_configuration_of_no_generator(folder: Path, change: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps({**TINY, **change}))
    expect(folder, "not a BigGAN configuration")


def test_truncation_out_of_range(folder: Path) -> None:
    for truncation in (0.0, 1.5):
        with pytest.raises(PriorError, match="truncation"):
            biggan(folder, truncation=truncation)


def test_weights_from_the_local_cache_of_the_hub(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    snapshot = cache / "models--somebody--tiny" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for name in ("pytorch_model.bin", "config.json"):
        (folder / name).rename(snapshot / name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    assert biggan(repository="somebody/tiny", revision="a" * 40).image_size == 16
    with pytest.raises(PriorError, match="not in the local cache"):
        biggan(repository="somebody/tiny", revision="b" * 40)


def test_nothing_is_downloaded_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("the network was used"))
    with pytest.raises(PriorError, match="not in the local cache"):
        biggan(repository="nobody/nothing", revision="0" * 40)
