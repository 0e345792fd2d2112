"""The victim's side: photographs, models, defenses and what is sent."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tasks import TaskError, TaskSettings
from tasks.datasets import DATASETS, Photos
from tasks.defenses import GaussianNoise, NoDefense
from tasks.models import MODELS, ModelSpec
from tests.conftest import make_round, make_task


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_dataset_gives_labelled_images_in_range(name: str) -> None:
    dataset = DATASETS[name]()
    assert len(dataset) >= 8
    for index in range(len(dataset)):
        image, label = dataset[index]
        assert image.shape == (3, dataset.image_size, dataset.image_size)
        assert image.dtype == torch.float32
        assert 0 <= float(image.min()) < float(image.max()) <= 1
        assert 0 <= label < len(dataset.class_names)


def test_photographs_are_distinct_and_in_colour() -> None:
    images = torch.stack([Photos()[i][0] for i in range(10)])
    assert float(torch.cdist(images.flatten(1), images.flatten(1)).add(torch.eye(10) * 99).min()) > 5
    assert float((images[:, 0] - images[:, 2]).abs().flatten(1).mean(dim=1).min()) > 0.01


def test_a_photograph_is_area_pooled() -> None:
    large, small = Photos(64)[0][0], Photos(32)[0][0]
    torch.testing.assert_close(F.avg_pool2d(large, 2), small, atol=1e-2, rtol=0)


@pytest.mark.parametrize("size", [7, 257])
def test_a_size_out_of_range_is_an_error(size: int) -> None:
    with pytest.raises(TaskError, match="not between 8 and 256"):
        Photos(size)


def test_the_convnet_is_as_large_as_it_says() -> None:
    model = MODELS["convnet"](num_classes=10, image_size=32)
    assert 0.1e6 < sum(p.numel() for p in model.parameters()) < 0.2e6


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_is_built_from_its_seed_alone(name: str) -> None:
    spec = ModelSpec(name, 7, 32)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = spec.build(5)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    two, other = spec.build(5), spec.build(6)
    assert not one.training
    for mine, same in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(mine, same)
    assert any(
        not torch.equal(mine, another)
        for mine, another in zip(one.parameters(), other.parameters(), strict=True)
    )
    assert one(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_the_update_is_the_gradient_of_the_mean_loss_of_normalised_images() -> None:
    observation, truth = make_round(3)
    victim = observation.victim()
    total = torch.zeros(())
    for image, label in zip(truth.images, truth.labels, strict=True):
        logits = victim(((image - 0.5) / 0.25)[None])[0]
        total = total - torch.log_softmax(logits, dim=0)[label]
    expected = torch.autograd.grad(total / 3, list(victim.parameters()))
    for (name, _), gradient in zip(victim.named_parameters(), expected, strict=True):
        torch.testing.assert_close(observation.update[name], gradient)


def test_targets_are_disjoint_batches() -> None:
    task = make_task(3)
    assert task.targets == 3
    labels = [label for target in range(3) for label in task.truth(target).labels.tolist()]
    assert labels == list(range(9))


def test_a_target_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(TaskError, match="targets 0 to 2"):
        make_task(3).truth(3)


def test_labels_are_sent_only_where_they_are_granted() -> None:
    task = make_task()
    assert task.observe(task.truth(0), NoDefense(), 0, 0).labels is None
    granting = type(task)(task.dataset, task.model, task.model_options, TaskSettings(labels="known"))
    labels = granting.observe(task.truth(4), NoDefense(), 0, 0).labels
    assert labels is not None
    assert labels.tolist() == [4]


def test_bad_settings_are_errors() -> None:
    with pytest.raises(TaskError, match="batch_size"):
        TaskSettings(batch_size=0)
    for std in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(TaskError, match="std must be a positive number"):
            GaussianNoise(std)
    with pytest.raises(TaskError, match="no model 'nonesuch'"):
        ModelSpec("nonesuch", 10, 32).build()
    with pytest.raises(TaskError, match="takes no option 'depth'"):
        ModelSpec("convnet", 10, 32, {"depth": 3}).build()
    with pytest.raises(TaskError, match="cannot be built"):
        ModelSpec("convnet", 10, 33).build()


def test_gaussian_noise_has_its_std_and_leaves_the_clean_update_alone() -> None:
    clean = {"a": torch.zeros(200, 100), "b": torch.ones(10_000)}
    noisy = GaussianNoise(0.5).apply(clean, torch.Generator().manual_seed(3))
    assert float(clean["a"].abs().sum()) == 0
    noise = torch.cat([(noisy[name] - clean[name]).flatten() for name in clean])
    assert float(noise.std()) == pytest.approx(0.5, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)
    # Slowly, from the same generator: one draw a tensor, in order.
    generator = torch.Generator().manual_seed(3)
    for name in clean:
        drawn = torch.randn(clean[name].shape, generator=generator).numpy()
        np.testing.assert_allclose(noisy[name].numpy(), clean[name].numpy() + 0.5 * drawn, rtol=1e-6)


def test_no_defense_sends_the_update_as_it_is() -> None:
    update = {"a": torch.ones(3)}
    assert NoDefense().apply(update, torch.Generator())["a"] is update["a"]
