"""One step of each attack, against a slow reference written here; and what a search is held in."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.latent import Latent
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.radii import PerEntry
from gifd_bench.priors.base import State
from gifd_bench.priors.generators.resnet import ResNetPrior
from gifd_bench.tasks.observation import Observation
from tests.benchmark.attacks.references import Record, recorded, start_of
from tests.rounds import make_round


def steps(attack: Attack, observation: Observation, prior: ResNetPrior | None = None) -> Record:
    return recorded(attack, observation, prior)[0]


def cosine_objective(observation: Observation, inputs: Tensor, label: int) -> Tensor:
    """1 - cosine between the gradients at normalized images and those observed, parameter by parameter."""
    victim = observation.victim()
    loss = F.cross_entropy(victim(inputs), torch.tensor([label]))
    gradients = torch.autograd.grad(loss, list(victim.parameters()), create_graph=True)
    inner = mine = theirs = torch.zeros(())
    for (name, _), gradient in zip(victim.named_parameters(), gradients, strict=True):
        target = observation.update[name]
        inner = inner + (gradient * target).sum()
        mine = mine + (gradient**2).sum()
        theirs = theirs + (target**2).sum()
    return 1 - inner / (mine.sqrt() * theirs.sqrt())


def slow_total_variation(x: Tensor) -> Tensor:
    right = [(x[..., j + 1] - x[..., j]).abs() for j in range(x.shape[-1] - 1)]
    down = [(x[..., i + 1, :] - x[..., i, :]).abs() for i in range(x.shape[-2] - 1)]
    return torch.stack(right).mean() + torch.stack(down).mean()


def test_ig_takes_the_step_of_signed_adam_in_the_box(observation: Observation) -> None:
    attack = IG(iterations=16, learning_rate=0.1, total_variation=0.3)
    record = steps(attack, observation)
    before, after = record.searched[0]["inputs"], record.searched[1]["inputs"]
    # Slowly: Adam on the sign of the gradient, from its first two steps.
    # In the box from (0 - 0.5) / 0.25 to (1 - 0.5) / 0.25.
    x = start_of(attack, observation).searched["inputs"][0].detach().clone()
    first = second = torch.zeros_like(x)
    for step in (1, 2):
        x = x.detach().requires_grad_()
        objective = cosine_objective(observation, x, 0) + 0.3 * slow_total_variation(x)
        sign = torch.autograd.grad(objective, x)[0].sign()
        first, second = 0.9 * first + 0.1 * sign, 0.999 * second + 0.001 * sign**2
        direction = (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        x = (x.detach() - 0.1 * direction).clamp(-2, 2)
        expected = before if step == 1 else after
        # A sign may flip where the gradient is almost zero.
        assert float((x - expected).abs().gt(1e-5).float().mean()) < 0.002


def test_latent_takes_the_step_of_adam_with_warm_up(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    attack = Latent(iterations=20, learning_rate=0.1, total_variation=0.2, image_norm=0.1)
    record = steps(attack, observation, tiny_prior)
    begun = start_of(attack, observation, tiny_prior)
    searched = {n: t[0].detach().clone().requires_grad_() for n, t in begun.searched.items()}
    state = State(0, {**{n: t[0] for n, t in begun.held.items()}, **searched}, tuple(searched))
    inputs = (tiny_prior.generate(state) - 0.5) / 0.25
    norm = inputs.square().sum().sqrt() / 32**2
    objective = cosine_objective(observation, inputs, 0) + 0.2 * slow_total_variation(inputs) + 0.1 * norm
    gradients = torch.autograd.grad(objective, list(searched.values()))
    rate = 0.1 * min(1, (1 / 21) / 0.05)
    for (name, start), gradient in zip(searched.items(), gradients, strict=True):
        # The first step of Adam.
        expected = start.detach() - rate * gradient / (gradient.abs() + 1e-8)
        torch.testing.assert_close(record.searched[0][name], expected, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_gifd_searches_each_stage_and_stays_in_its_l1_ball(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    radius = 0.01
    record = steps(GIFD(iterations=6, radii=PerEntry(radius)), observation, tiny_prior)
    assert record.stages == [stage for stage in range(5) for _ in range(6)]
    touched = 0
    for searched, began, stage in zip(record.searched, record.began, record.stages, strict=True):
        if stage == 0:
            assert set(searched) == {
                "z",
                "embedding",
            }  # the tiny prior does not know the photograph's class
            continue
        assert set(searched) == {"feature"}
        moved = (searched["feature"] - began["feature"]).abs().sum()
        limit = radius * searched["feature"].numel()
        assert float(moved) <= limit * (1 + 1e-4)
        touched += float(moved) > limit * 0.99
    assert touched > 4  # the ball was met: without it, the features go further
    free = steps(GIFD(iterations=6, radii=None), observation, tiny_prior)
    last = len(free.searched) - 1
    assert not torch.equal(free.searched[last]["feature"], record.searched[last]["feature"])


def test_a_stage_of_gifd_begins_where_the_last_one_ended(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    record = steps(GIFD(iterations=4), observation, tiny_prior)
    for last in (3, 7, 11, 15):
        state = State(record.stages[last], {**record.held[last], **record.searched[last]}, ())
        advanced = tiny_prior.advance(state).tensors["feature"]
        torch.testing.assert_close(record.began[last + 1]["feature"], advanced)


def test_gifd_can_stop_at_an_earlier_stage(observation: Observation, tiny_prior: ResNetPrior) -> None:
    record = steps(GIFD(iterations=2, last_stage=1), observation, tiny_prior)
    assert record.stages == [0, 0, 1, 1]


def test_stages_of_gifd_may_differ_in_length(observation: Observation, tiny_prior: ResNetPrior) -> None:
    record = steps(GIFD(iterations=[1, 2, 1, 1, 3]), observation, tiny_prior)
    assert record.stages == [0, 1, 1, 2, 3, 4, 4, 4]


@pytest.mark.parametrize("iterations", [0, [], [1, 0, 1, 1, 1], [1, 1]])
def test_a_stage_without_iterations_is_an_error(
    iterations: int | list[int], observation: Observation, tiny_prior: ResNetPrior
) -> None:
    with pytest.raises(BenchmarkError, match="iterations"):
        steps(GIFD(iterations=iterations), observation, tiny_prior)


def test_the_prior_is_conditioned_on_a_class_that_it_knows(tiny_prior: ResNetPrior) -> None:
    cat, _ = make_round(1, 1)
    record = steps(Latent(iterations=2), cat, tiny_prior)
    assert set(record.searched[0]) == {"z"}
    expected = tiny_prior.generator.embedding.weight[0]
    torch.testing.assert_close(record.held[0]["embedding"][0], expected)


def test_some_restarts_at_once_and_the_others_after_them(observation: Observation) -> None:
    some, every = (IG(iterations=3, restarts=3, restarts_at_once=count) for count in (2, None))
    record, result = recorded(some, observation)
    assert [len(lanes["inputs"]) for lanes in record.all_lanes] == [2, 2, 2, 1, 1, 1]
    _, expected = recorded(every, observation)
    torch.testing.assert_close(result.curve, expected.curve, rtol=1e-4, atol=0)
    assert result.gradient_evaluations == expected.gradient_evaluations == 3 * (3 + 1)
    assert result.curve.shape == (9,)
