"""Training a prior: from images to a file that loads, interrupted or not."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import FakeData

from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.resnet import generator_file
from gifd_bench.priors.training.augment import augment
from gifd_bench.priors.training.classifier import Classifier
from gifd_bench.priors.training.frechet import ClassifierFrechetDistance
from gifd_bench.priors.training.images import PriorImages, load_images
from gifd_bench.priors.training.train import TrainingConfig, train_prior


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


def config(data: Path | None, steps: int = 3, **more: Any) -> TrainingConfig:
    return TrainingConfig(
        name="tiny",
        data=data,
        **{"split": "train", **more},
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
    prior = generator_file(weights)
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


@pytest.mark.slow
def test_samples_are_scored_against_held_back_images(folder: Path, tmp_path: Path) -> None:
    held = config(folder, steps=2, held_back="train", classifier_epochs=1)
    train_prior(held, tmp_path / "out", "")
    card = (tmp_path / "out" / "tiny.md").read_text()
    rows = dict(line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("| d"))
    # The held-back images are the training images here: no distance at all.
    nothing, something = (float(rows[f"distance of {of}"]) for of in ("as many training images", "samples"))
    assert abs(nothing) < something / 100
    (losses,) = (tmp_path / "out" / "losses").glob("*/metrics.csv")
    (header, *_) = losses.read_text().splitlines()
    assert "classifier_frechet_distance" in header
    # Once trained, the classifier stays: scores of one run are in the same features.
    before = (tmp_path / "out" / "classifier.safetensors").stat().st_mtime_ns
    train_prior(held, tmp_path / "out", "")
    assert (tmp_path / "out" / "classifier.safetensors").stat().st_mtime_ns == before


def test_the_distance_is_that_of_two_gaussians() -> None:
    """Against the formula written out, in the features of an untrained classifier."""
    torch.manual_seed(0)
    classifier = Classifier(2, 1).eval()
    sets = [torch.randint(0, 256, (300, 3, 16, 16), dtype=torch.uint8) // k for k in (1, 2)]
    labeled = [PriorImages(s, torch.zeros(300, dtype=torch.int64), ("a",)) for s in sets]
    found = ClassifierFrechetDistance(classifier, labeled[0]).of_images(labeled[1])
    with torch.no_grad():
        one, two = (classifier.features(s.float() / 127.5 - 1).double().numpy() for s in sets)
    # The trace of a matrix's root is the sum of the roots of its eigenvalues.
    roots = np.sqrt(np.linalg.eigvals(np.cov(one.T) @ np.cov(two.T)).real.clip(min=0)).sum()
    expected = (
        ((one.mean(0) - two.mean(0)) ** 2).sum() + np.trace(np.cov(one.T) + np.cov(two.T)) - 2 * roots
    )
    assert found == pytest.approx(expected, rel=0.01)


def test_a_torchvision_dataset_is_trained_on(tmp_path: Path) -> None:
    fake = FakeData(size=16, image_size=(3, 20, 20), num_classes=3)
    weights = train_prior(config(None, steps=1, dataset=fake), tmp_path / "out", "")
    assert generator_file(weights).class_names == ("0", "1", "2")
    assert "16 images (FakeData)" in (tmp_path / "out" / "tiny.md").read_text()


@pytest.mark.slow
def test_augmented_at_64_pixels(folder: Path, tmp_path: Path) -> None:
    larger = replace(config(folder, steps=1), augment=True, channels=(8,) * 5, bfloat16=True)
    assert generator_file(train_prior(larger, tmp_path / "out", "")).image_size == 64


def test_wandb_gets_losses_and_grids(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    train_prior(config(folder, steps=2, tracker="wandb"), tmp_path / "out", "")
    assert list((tmp_path / "out").glob("wandb/offline-run-*/files/media/images/samples_*.png"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": None}, "either data"),
        ({"dataset": FakeData(size=16)}, "either data"),
        ({"data": None, "dataset": FakeData(size=16), "held_back": "x"}, "held_back is a path inside data"),
        ({"batch_size": 64}, "16 images do not fill a batch of 64"),
        ({"held_back": "test"}, "holds no folder 'test'"),
    ],
)
def test_contradictions(folder: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PriorError, match=message):
        train_prior(replace(config(folder), **changes), tmp_path / "out", "")
    assert not (tmp_path / "out").exists()


def test_augmentation_is_differentiable_and_each_image_has_its_own() -> None:
    torch.manual_seed(0)
    images = (torch.rand(1, 3, 16, 16) * 2 - 1).expand(6, -1, -1, -1).clone().requires_grad_()
    changed = augment(images)
    flat = changed.detach().flatten(1)
    assert changed.shape == images.shape
    assert float(torch.cdist(flat, flat).add(99 * torch.eye(6)).min()) > 0.1
    assert bool(((changed == 0).flatten(1).float().mean(dim=1) > 0.03).all())  # the cut-out
    (gradient,) = torch.autograd.grad(changed.sum(), images)
    assert bool((gradient.abs().sum(dim=(1, 2, 3)) > 0).all())


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
