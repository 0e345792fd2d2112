"""Training a prior: from images to a file that loads, interrupted or not."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from priors import PriorError, from_file
from priors.training.images import load_images
from priors.training.train import TrainingConfig, train_prior


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of noise, eight images each, one of them not square."""
    random = np.random.default_rng(0)
    for name in ("ants", "bees"):
        (tmp_path / "data" / "train" / name).mkdir(parents=True)
        for index in range(8):
            pixels = random.integers(0, 256, (40, 24 if index else 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / "train" / name / f"{index}.png")
    return tmp_path / "data"


def config(data: Path, steps: int = 3) -> TrainingConfig:
    return TrainingConfig(
        name="tiny",
        data=data,
        split="train",
        latent_size=8,
        embedding_size=4,
        channels=(8, 8, 8),
        discriminator_channels=(8, 8),
        steps=steps,
        batch_size=8,
        bfloat16=False,
        save_every=2,
    )


def test_a_trained_prior_loads_and_renders(folder: Path, tmp_path: Path) -> None:
    weights = train_prior(config(folder), tmp_path / "out", "the command")
    prior = from_file(weights)
    assert prior.class_names == ("ants", "bees")
    images = prior.sample(torch.tensor([0, 1]), torch.Generator().manual_seed(0))
    assert images.shape == (2, 3, 16, 16)
    card = (tmp_path / "out" / "tiny.md").read_text()
    for fact in ("16 images", "ants, bees", "3 steps", "`the command`"):
        assert fact in card
    assert (tmp_path / "out" / "samples" / "000002.png").is_file()
    assert (tmp_path / "out" / "tiny.png").is_file()


def test_training_goes_on_from_its_checkpoint(folder: Path, tmp_path: Path) -> None:
    train_prior(config(folder, steps=2), tmp_path / "out", "")
    before = torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)
    train_prior(config(folder, steps=4), tmp_path / "out", "")
    after = torch.load(tmp_path / "out" / "last.ckpt", weights_only=True)
    assert (before["global_step"], after["global_step"]) == (4, 8)
    assert not torch.equal(
        before["state_dict"]["generator.stem.weight"], after["state_dict"]["generator.stem.weight"]
    )


def test_a_zip_gives_the_same_images_as_its_folder(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for image in sorted(folder.rglob("*.png")):
            file.write(image, image.relative_to(folder))
    from_zip, from_folder = load_images(archive, "train", 16), load_images(folder, "train", 16)
    assert torch.equal(from_zip.pixels, from_folder.pixels)
    assert from_zip.labels.tolist() == from_folder.labels.tolist() == [0] * 8 + [1] * 8


def test_images_are_mirrored_at_random_and_nothing_else(folder: Path) -> None:
    images = load_images(folder, "train", 16)
    torch.manual_seed(0)
    batch, labels = images[list(range(16))]
    plain = images.pixels.float() / 127.5 - 1
    same = (batch == plain).flatten(1).all(dim=1)
    mirrored = (batch == plain.flip(-1)).flatten(1).all(dim=1)
    assert bool((same | mirrored).all())
    assert 0 < int(mirrored.sum()) < 16
    assert torch.equal(labels, images.labels)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f / "nowhere", "no such folder or zip"),
        (lambda f: _write(f / "a.zip", b"no zip"), "neither a folder nor a zip"),
        (lambda f: f / "train", "holds no folder 'train'"),
        (lambda f: _write(f / "train" / "bees" / "3.png", b"text").parents[2], "3.png: not an image"),
        (lambda f: _empty(f / "train" / "wasps").parents[1], "no images"),
    ],
)
def test_bad_data_is_one_clear_line(folder: Path, damage: object, message: str) -> None:
    data = damage(folder)  # type: ignore[operator]
    with pytest.raises(PriorError) as error:
        load_images(data, "train", 16)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_bad_steps(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PriorError, match="steps must be at least 1"):
        train_prior(config(folder, steps=0), tmp_path / "out", "")
    assert not (tmp_path / "out").exists()


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _empty(path: Path) -> Path:
    path.mkdir()
    return path
