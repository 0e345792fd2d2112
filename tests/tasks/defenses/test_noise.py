"""Noise, and how well its strength is read from a noisy gradient of photographs."""

from __future__ import annotations

import math

import pytest
import torch

from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.noise import GaussianNoise, LaplaceNoise
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from tests.tasks.defenses.helpers import generator, gradient_of, private_batch


def test_gaussian_noise_is_one_normal_draw_an_entry_in_order() -> None:
    batch = private_batch(1)
    clean = gradient_of(batch)
    noisy = GaussianNoise(0.5).apply(clean, batch, generator(3))
    draws = generator(3)
    for name, value in clean.items():
        torch.testing.assert_close(noisy[name], value + 0.5 * torch.randn(value.shape, generator=draws))


def test_laplacian_noise_has_the_distribution_of_laplace() -> None:
    clean = {"a": torch.full((300, 400), 2.0)}
    noise = LaplaceNoise(0.5).apply(clean, private_batch(1), generator())["a"].double() - 2
    assert float(noise.abs().mean()) == pytest.approx(0.5, rel=0.02)
    for x in (-1.5, -0.4, 0.0, 0.2, 1.0):
        below = 0.5 * math.exp(x / 0.5) if x < 0 else 1 - 0.5 * math.exp(-x / 0.5)
        assert float((noise < x).double().mean()) == pytest.approx(below, abs=0.005)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("level", [0.01, 0.1])
@pytest.mark.parametrize(("width", "tolerance"), [(4, 0.21), (32, 0.1)])
def test_an_attacker_reads_the_noise_level_from_a_gradient(
    images: int, level: float, width: int, tolerance: float
) -> None:
    batch = private_batch(images, width=width)
    clean = gradient_of(batch)
    gaussian = GaussianNoise(level).apply(clean, batch, generator())
    assert float(GaussianNoise.imitation(gaussian, None).noise_std) == pytest.approx(level, rel=tolerance)
    laplacian = LaplaceNoise(level).apply(clean, batch, generator())
    estimate = float(LaplaceNoise.imitation(laplacian, None).noise_std)
    assert estimate == pytest.approx(math.sqrt(2) * level, rel=tolerance)


def test_pure_noise_is_read_without_bias() -> None:
    batch = private_batch(1)
    update = {"a": torch.zeros(1000, 1000)}
    gaussian = GaussianNoise(3.0).apply(update, batch, generator())
    assert float(GaussianNoise.imitation(gaussian, None).noise_std) == pytest.approx(3, rel=0.01)
    laplacian = LaplaceNoise(3.0).apply(update, batch, generator())
    expected = math.sqrt(2) * 3
    assert float(LaplaceNoise.imitation(laplacian, None).noise_std) == pytest.approx(expected, rel=0.01)


def test_entries_that_a_later_defense_zeroed_do_not_count() -> None:
    update = GaussianNoise(0.1).apply({"a": torch.zeros(500, 500)}, private_batch(1), generator())
    update["a"][:, 50:] = 0
    assert float(GaussianNoise.imitation(update, None).noise_std) == pytest.approx(0.1, rel=0.05)


def test_a_few_entries_still_give_a_level() -> None:
    update = GaussianNoise(0.1).apply({"a": torch.zeros(10, 20)}, private_batch(1), generator())
    assert float(GaussianNoise.imitation(update, None).noise_std) == pytest.approx(0.1, rel=0.3)


def test_a_granted_level_is_taken_as_it_is() -> None:
    nothing = {"a": torch.zeros(3)}
    assert GaussianNoise.imitation(nothing, {"std": 0.25}).noise_std == 0.25
    assert LaplaceNoise.imitation(nothing, {"scale": 0.25}).noise_std == pytest.approx(0.25 * math.sqrt(2))


@pytest.mark.parametrize("level", [0.0, -1.0, math.nan, math.inf])
def test_a_level_that_is_none_is_an_error(level: float) -> None:
    with pytest.raises(TaskError, match=r"^gaussian_noise: std must be a positive number, not \S+$"):
        GaussianNoise(level)
    with pytest.raises(TaskError, match=r"^laplace_noise: scale must be a positive number, not \S+$"):
        LaplaceNoise(level)


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("std", [0.001, 0.01, 0.1])
def test_the_level_of_noise_on_a_convnet_is_told_to_two_percent(std: float, batch_size: int) -> None:
    task = Task(Photos(32), "convnet", {}, TaskSettings(batch_size=batch_size))
    observed = task.observe(task.truth(0), GaussianNoise(std), 0, 0).update
    assert float(GaussianNoise.imitation(observed, None).noise_std) == pytest.approx(std, rel=0.02)


def test_columns_of_a_last_layer_that_do_not_sum_to_zero_do_not_hide_the_noise() -> None:
    # As where another defense changed the update before.
    update = {"a": torch.zeros(300, 300), "last": torch.full((10, 4096), 0.3)}
    noisy = GaussianNoise(0.1).apply(update, private_batch(1), generator())
    assert float(GaussianNoise.imitation(noisy, None).noise_std) == pytest.approx(0.1, rel=0.05)
