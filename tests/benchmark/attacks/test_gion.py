"""GION: one step of signed Adam on the weights of its network, and that network."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gifd_bench.benchmark.attacks.gion import GION
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.over_parameterized import LATENT, OverParameterizedNetwork, wide_enough
from gifd_bench.benchmark.invert import invert
from gifd_bench.tasks.observation import Observation
from tests.benchmark.attacks.references import cosine_objective, recorded, start_of
from tests.rounds import make_round


@pytest.mark.parametrize("batch_size", [1, 2])
def test_gion_takes_the_step_of_signed_adam_on_one_network_for_the_batch(batch_size: int) -> None:
    observation, _ = make_round(batch_size)
    attack = GION(iterations=2)
    record, result = recorded(attack, observation)
    latents = record.held[0]["latents"]
    assert torch.equal(latents, record.held[1]["latents"])
    # Slowly: the network as it was made, and its first step.
    start = {name: weight[0].detach() for name, weight in start_of(attack, observation).searched.items()}
    network = OverParameterizedNetwork((3, 32, 32), 32)
    network.load_state_dict(start)
    images = network(latents)
    assert images.shape == (batch_size, 3, 32, 32)
    cosine_objective(observation, images, result.labels).backward()
    compared = 0
    for name, moved in record.searched[0].items():
        gradient = network.get_parameter(name).grad
        assert gradient is not None
        certain = gradient.abs() > 1e-6
        expected = start[name] - 1e-3 * gradient.sign()
        torch.testing.assert_close(moved[certain], expected[certain], atol=1e-6, rtol=0)
        compared += int(certain.sum())
    assert compared > 10_000


def test_gion_needs_no_prior(observation: Observation) -> None:
    result = invert(GION(iterations=2), observation, None, 0, accelerator="cpu")
    assert result.gradient_evaluations == 3


def test_a_restart_has_a_network_of_its_own(observation: Observation) -> None:
    record, _ = recorded(GION(iterations=1, restarts=2), observation)
    first, second = record.all_lanes[0]["to_rgb.weight"]
    assert not torch.allclose(first, second, atol=1e-2)


@pytest.mark.parametrize("size", [8, 28, 32, 64, 100])
def test_the_network_makes_images_of_any_size(size: int) -> None:
    network = OverParameterizedNetwork((3, size, size), width=8)
    images = network(torch.randn(2, LATENT, generator=torch.Generator().manual_seed(0))).detach()
    assert images.shape == (2, 3, size, size)
    assert 0 <= float(images.min()) < float(images.max()) <= 1


def test_the_network_is_made_by_its_seed_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (OverParameterizedNetwork((3, 8, 8), 8, seed).to_rgb.weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("size", "batch", "factor"), [(32, 1, 4.0), (32, 64, 4.0), (64, 8, 4.0), (32, 1, 100.0)]
)
def test_the_width_is_the_least_that_over_parameterises(size: int, batch: int, factor: float) -> None:
    def weights(width: int) -> int:
        return sum(p.numel() for p in OverParameterizedNetwork((3, size, size), width).parameters())

    width = wide_enough((3, size, size), batch, factor)
    assert weights(width) > factor * batch * size**2
    assert width == 32 or weights(width // 2) <= factor * batch * size**2


def test_16_images_of_32_pixels_take_the_32_channels_of_the_release() -> None:
    assert wide_enough((3, 32, 32), 16, 4.0) == 32


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"weights_per_pixel": 0.0}])
def test_an_empty_search_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(BenchmarkError, match=r"must be (positive|at least 1)"):
        GION(**wrong)
