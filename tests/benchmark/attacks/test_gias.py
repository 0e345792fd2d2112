"""GIAS: the choice of a start, one step on the weights, and what it leaves alone."""

from __future__ import annotations

import copy

import pytest
import torch

from gifd_bench.benchmark.attacks.gias import GIAS
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.weights import Renderer
from gifd_bench.priors.base import State
from gifd_bench.priors.generators.resnet import ResNetPrior
from gifd_bench.tasks.observation import Observation
from tests.benchmark.attacks.references import cosine_objective, recorded, start_of
from tests.rounds import make_round


def test_the_latent_with_the_lowest_loss_of_all_starts_is_taken(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    attack = GIAS(latent_iterations=3, weight_iterations=2, starts=3, latent_learning_rate=0.5)
    record, result = recorded(attack, observation, tiny_prior)
    assert record.stages == [0, 0, 0, 1, 1]
    assert [stage.name for stage in result.stages] == ["latent", "weights"]
    best = int(result.curve[:3].argmin())
    taken = record.held[3]
    before = start_of(attack, observation, tiny_prior).searched if best == 0 else record.all_lanes[best - 1]
    assert any(torch.equal(taken["z"], z) for z in before["z"])
    assert any(torch.equal(taken["embedding"], embedding) for embedding in before["embedding"])
    assert set(taken) == {"z", "embedding"}
    # The weights are searched from where they give the same image.
    assert float(result.curve[3]) == pytest.approx(float(result.curve[:3].min()), rel=1e-5)


def test_every_start_is_a_new_draw(observation: Observation, tiny_prior: ResNetPrior) -> None:
    attack = GIAS(latent_iterations=1, weight_iterations=1, starts=3)
    record, _ = recorded(attack, observation, tiny_prior)
    first, second, third = record.all_lanes[0]["z"]
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_one_start_hands_on_the_last_latent(observation: Observation, tiny_prior: ResNetPrior) -> None:
    attack = GIAS(latent_iterations=3, weight_iterations=1, starts=1)
    record, result = recorded(attack, observation, tiny_prior)
    assert torch.equal(record.held[3]["z"], record.searched[2]["z"])
    assert [stage.name for stage in result.stages] == ["latent", "weights"]


@pytest.mark.parametrize("batch_size", [1, 2])
def test_weights_take_the_step_of_adam_image_by_image(batch_size: int, tiny_prior: ResNetPrior) -> None:
    observation, _ = make_round(batch_size)
    rate, weight = 1e-3, 0.2
    attack = GIAS(
        latent_iterations=1,
        weight_iterations=8,
        starts=1,
        weight_learning_rate=rate,
        total_variation=weight,
    )
    record, result = recorded(attack, observation, tiny_prior)
    held, after = record.held[1], record.searched[1]
    # Slowly: one whole copy of the generator for each image.
    copies = [copy.deepcopy(tiny_prior).requires_grad_() for _ in range(batch_size)]
    images = torch.cat(
        [
            own.generate(State(0, {n: t[i : i + 1] for n, t in held.items()}, ()))
            for i, own in enumerate(copies)
        ]
    )
    x = (images - 0.5) / 0.25
    tv = (x[..., 1:] - x[..., :-1]).abs().mean() + (x[..., 1:, :] - x[..., :-1, :]).abs().mean()
    (cosine_objective(observation, images, result.labels) + weight * tv).backward()
    compared = 0
    for name, moved in after.items():
        for i, own in enumerate(copies):
            start = own.get_parameter(name.removeprefix("prior."))
            assert start.grad is not None
            expected = start.detach() - rate * start.grad / (start.grad.abs() + 1e-8)
            # Where a gradient is almost zero, the first step of Adam is not its sign.
            certain = start.grad.abs() > 1e-6
            torch.testing.assert_close(moved[i][certain], expected[certain], atol=2e-5, rtol=0)
            compared += int(certain.sum())
    assert compared > 1000 * batch_size


def test_weights_that_no_image_depends_on_are_not_searched(tiny_prior: ResNetPrior) -> None:
    renderer = Renderer(tiny_prior, 32)
    state = tiny_prior.initial_state(torch.tensor([0]), torch.Generator().manual_seed(0))
    used = renderer.used_weights(state)
    everything = {f"prior.{name}" for name, _ in tiny_prior.named_parameters()}
    assert everything - used.keys() == {"prior.generator.embedding.weight"}


def test_the_shared_prior_is_left_as_it_is(observation: Observation, tiny_prior: ResNetPrior) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_prior.state_dict().items()}
    record, _ = recorded(GIAS(latent_iterations=2, weight_iterations=3, starts=2), observation, tiny_prior)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tiny_prior.state_dict().items())
    assert not any(parameter.requires_grad for parameter in tiny_prior.parameters())
    searched = record.searched[-1]["prior.generator.to_rgb.weight"]
    assert not torch.equal(searched[0], before["generator.to_rgb.weight"])


@pytest.mark.parametrize("wrong", ["latent_iterations", "weight_iterations", "starts"])
def test_an_empty_search_is_an_error(wrong: str) -> None:
    with pytest.raises(BenchmarkError, match="at least 1"):
        GIAS(**{wrong: 0})  # type: ignore[arg-type]
