"""GradInversion: its penalties and one step against slow references, and what its group costs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.benchmark.attacks.gi import GI
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.batch_norm import moment_distance, never_updated
from gifd_bench.benchmark.inversion.group import consensus, group_distance
from gifd_bench.benchmark.inversion.penalties import BatchNormStatistics, Iterate
from gifd_bench.benchmark.inversion.registration import translate, translations
from gifd_bench.benchmark.inversion.search import Search
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.invert import invert
from gifd_bench.tasks.batch_norm import Moments
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel
from tests.benchmark.attacks.references import recorded, start_of


def with_batch_norm(batch_size: int = 1, **task: Any) -> tuple[Observation, Tensor]:
    """A round of a victim with BatchNorm layers, and its private images."""
    settings = TaskSettings(batch_size=batch_size, **task)
    victim = Task(Photos(16), "resnet_cifar", {"width": 2}, settings)
    truth = victim.truth(0)
    return victim.observe(truth, NoDefense(), model_seed=0, defense_seed=0), truth.images


def search(attack: GI, observation: Observation) -> list[Tensor]:
    """All members after every iteration."""
    return [lanes["inputs"] for lanes in recorded(attack, observation)[0].all_lanes]


def slow_moments(observation: Observation, inputs: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Mean and variance of what enters each BatchNorm layer, channel by channel."""
    victim, found = observation.victim(), []
    handles = [
        module.register_forward_pre_hook(lambda _, entering: found.append(entering[0]))
        for module in victim.modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    ]
    victim(inputs)
    for handle in handles:
        handle.remove()
    results = []
    for features in found:
        channels = [features[:, c].flatten() for c in range(features.shape[1])]
        means = [channel.sum() / len(channel) for channel in channels]
        variances = [((x - m) ** 2).sum() / len(x) for x, m in zip(channels, means, strict=True)]
        results.append((torch.stack(means), torch.stack(variances)))
    return results


def slow_batch_norm(
    observation: Observation, inputs: Tensor, expected: dict[str, Moments], first: float
) -> Tensor:
    total = torch.zeros(())
    found = slow_moments(observation, inputs)
    for index, ((mean, var), wanted) in enumerate(zip(found, expected.values(), strict=True)):
        distance = ((mean - wanted.mean) ** 2).sum().sqrt() + ((var - wanted.var) ** 2).sum().sqrt()
        total = total + (first if index == 0 else 1.0) * distance
    return total


def slow_fidelity(x: Tensor, tv: float, norm: float) -> Tensor:
    right = [(x[..., j + 1] - x[..., j]).abs() for j in range(x.shape[-1] - 1)]
    down = [(x[..., i + 1, :] - x[..., i, :]).abs() for i in range(x.shape[-2] - 1)]
    norms = torch.stack([image.square().sum().sqrt() for image in x]).mean() / x.shape[-1] ** 2
    return tv * (torch.stack(right).mean() + torch.stack(down).mean()) + norm * norms


def slow_distance(observation: Observation, inputs: Tensor, labels: Tensor) -> Tensor:
    victim = observation.victim()
    loss = F.cross_entropy(victim(inputs), labels)
    gradients = torch.autograd.grad(loss, list(victim.parameters()), create_graph=True)
    names = [name for name, _ in victim.named_parameters()]
    return torch.stack(
        [((g - observation.update[n]) ** 2).sum() for n, g in zip(names, gradients, strict=True)]
    ).sum()


@pytest.mark.slow
def test_gi_takes_the_first_step_of_adam_on_the_whole_objective() -> None:
    observation, _ = with_batch_norm(2, threat_model=ThreatModel(bn_statistics="batch"))
    weights: dict[str, Any] = {
        "matching": 0.5,
        "total_variation": 0.3,
        "image_norm": 0.7,
        "batch_norm": 0.2,
        "group": 5.0,
    }
    attack = GI(iterations=9, warm_up=5, group_size=3, group_start=0, langevin=0, registration=0, **weights)
    start = start_of(attack, observation).searched["inputs"].detach()
    after = search(attack, observation)[0]
    expected = dict(observation.batch_norm_moments() or {})
    members = start.clone().requires_grad_()
    mean = (start[0] + start[1] + start[2]) / 3
    objective = torch.zeros(())
    for x in members:
        apart = torch.stack([(x[b] - mean[b]).square().sum().sqrt() for b in range(2)]).mean() / 16**2
        objective = objective + 0.5 * slow_distance(observation, x, attack.labels[0])
        objective = objective + slow_fidelity(x, 0.3, 0.7) + 5 * apart
        objective = objective + 0.2 * slow_batch_norm(observation, x, expected, 10)
    (gradient,) = torch.autograd.grad(objective, members)
    # Linear warm-up and cosine decay at the first of nine steps, and the first step of Adam.
    rate = 0.1 * (0.1 / 0.5) * float(0.5 - 0.5 * torch.cos(torch.tensor(torch.pi * 0.9)))
    wanted = (start - rate * gradient / (gradient.abs() + 1e-8)).clamp(-2, 2)
    # A sign may flip where the gradient is almost zero.
    assert float((after - wanted).abs().gt(1e-5).float().mean()) < 0.002


def test_the_search_stays_in_the_box(observation: Observation) -> None:
    for inputs in search(GI(iterations=4, warm_up=0, learning_rate=3.0, group_size=2), observation):
        assert -2 <= float(inputs.min()) <= float(inputs.max()) <= 2


def test_noise_comes_on_top_of_the_step_in_units_of_the_learning_rate(observation: Observation) -> None:
    still, moved = (
        search(GI(iterations=3, warm_up=0, group_size=1, langevin=langevin), observation)[0]
        for langevin in (0.0, 0.5)
    )
    inside = (still.abs() < 1.5) & (moved.abs() < 1.9)
    rate = 0.1 * float(0.5 - 0.5 * torch.cos(torch.tensor(torch.pi * 0.75)))
    assert float((moved - still)[inside].std()) == pytest.approx(0.5 * rate, rel=0.05)


def test_each_member_is_evaluated_and_a_candidate(observation: Observation) -> None:
    result = invert(GI(iterations=3, group_size=4), observation, None, 0, accelerator="cpu")
    assert result.gradient_evaluations == 4 * (3 + 1)
    assert result.images.shape == (1, 3, 32, 32)
    assert result.matching_loss <= float(result.curve.min())


def test_members_start_apart_and_the_group_draws_them_together(observation: Observation) -> None:
    def spread(group: float) -> float:
        attack = GI(iterations=12, warm_up=0, group_size=3, group=group, group_start=0.0, langevin=0.0)
        last = search(attack, observation)[-1]
        return float((last - last.mean(dim=0)).square().mean())

    assert 0 < spread(100.0) < 0.9 * spread(0.0)


def test_the_group_is_switched_on_after_its_part_of_the_iterations(observation: Observation) -> None:
    def run(group: float) -> list[Tensor]:
        return search(GI(iterations=8, group_size=2, group=group, group_start=0.5), observation)

    without, with_it = run(0.0), run(10.0)
    same = [torch.equal(a, b) for a, b in zip(without, with_it, strict=True)]
    assert same == [True] * 4 + [False] * 4


# BatchNorm statistics.


def lane_of(images: Tensor) -> Iterate:
    return Iterate(images[None], images[None], Search({}), 0)


def test_the_batch_norm_penalty_is_nothing_at_the_truth_and_something_elsewhere() -> None:
    observation, images = with_batch_norm(2, threat_model=ThreatModel(bn_statistics="batch"))
    client = SimulatedClient(observation, torch.device("cpu"))
    expected = dict(observation.batch_norm_moments() or {})
    penalty = BatchNormStatistics(1.0, 10.0, expected, client, client.victim)
    for candidate in (images, torch.rand_like(images)):
        client.update(candidate, torch.tensor([0, 1]))
        slow = slow_batch_norm(observation, client.normalize(candidate), expected, 10.0)
        found = penalty(lane_of(candidate)).detach()
        torch.testing.assert_close(found[0], slow.detach(), atol=1e-5, rtol=1e-4)
        assert (float(found) < 1e-4) == (candidate is images)
    assert float(found) > 0.1


def test_after_local_training_the_penalty_is_of_the_whole_batch_at_the_weights_sent_out() -> None:
    observation, images = with_batch_norm(
        2,
        client=ClientSettings(local=FedAvg(epochs=2, batch_size=1, learning_rate=0.1)),
        threat_model=ThreatModel(bn_statistics="batch"),
    )
    client = SimulatedClient(observation, torch.device("cpu"))
    expected = observation.batch_norm_moments() or {}
    penalty = BatchNormStatistics(1.0, 10.0, expected, client, client.victim)
    client.update(images, torch.tensor([0, 1]))
    assert float(penalty(lane_of(images)).detach()) < 1e-4


@pytest.mark.parametrize("level", ["none", "model"])
def test_without_statistics_that_say_something_the_term_is_absent(level: Any) -> None:
    # This victim was never trained: its running statistics are those it was built with.
    observation, _ = with_batch_norm(threat_model=ThreatModel(bn_statistics=level))
    attack = GI(iterations=2, group_size=1)
    assert attack.options.unmet(observation.threat_model, observation.is_difference) is None
    assert len(search(attack, observation)) == 2
    assert not [each for each in attack.penalties() if isinstance(each, BatchNormStatistics)]


def test_running_statistics_count_once_they_were_updated() -> None:
    fresh = Moments(torch.zeros(3), torch.ones(3))
    assert never_updated({"a": fresh, "b": fresh})
    assert not never_updated({"a": fresh, "b": Moments(torch.zeros(3), torch.full((3,), 1.1))})


def test_moment_distance_adds_layers_and_weighs_the_first() -> None:
    zero = Moments(torch.zeros(2), torch.zeros(2))
    found = {
        "first": Moments(torch.tensor([3.0, 4.0]), torch.tensor([0.0, 1.0])),
        "second": Moments(torch.tensor([0.0, 2.0]), torch.zeros(2)),
    }
    assert float(moment_distance(found, {"second": zero, "first": zero}, 10.0)) == 10 * (5 + 1) + 2


# The group and its registration.

moves = st.integers(-3, 3)


@settings(max_examples=25)
@given(st.lists(st.tuples(moves, moves), min_size=2, max_size=2), st.integers(0, 2**31))
def test_registration_finds_how_far_an_image_was_moved(by: list[tuple[int, int]], seed: int) -> None:
    target = torch.rand(2, 3, 12, 14, generator=torch.Generator().manual_seed(seed))
    pairs = zip(target, by, strict=True)
    moved = torch.stack([torch.roll(image, move, dims=(1, 2)) for image, move in pairs])
    found = translations(moved, target, most=3)
    assert found.tolist() == [[-down, -right] for down, right in by]
    torch.testing.assert_close(translate(moved, found), target)


def test_registration_moves_no_further_than_allowed() -> None:
    target = torch.rand(1, 3, 16, 16)
    found = translations(torch.roll(target, (5, 0), dims=(2, 3)), target, most=2)
    assert float(found.abs().max()) <= 2


def test_the_consensus_is_the_mean_of_members_moved_onto_their_mean() -> None:
    image = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    members = torch.stack([image, image, image, torch.roll(image, 1, dims=-1)])
    torch.testing.assert_close(consensus(members, most=2), image)
    torch.testing.assert_close(consensus(members, most=0), members.sum(dim=0) / 4)


def test_group_distance_is_the_norm_of_each_difference_over_the_pixels() -> None:
    members, agreed = torch.rand(2, 3, 3, 4, 5), torch.rand(3, 3, 4, 5)
    expected = 0.0
    for member in members:
        for image, other in zip(member, agreed, strict=True):
            expected += float(((image - other) ** 2).sum() ** 0.5) / 3 / 20
    assert float(group_distance(members, agreed).sum()) == pytest.approx(expected)


def test_a_group_of_one_has_nothing_to_agree_on_and_no_gradient_that_is_not_finite() -> None:
    members = torch.rand(1, 2, 3, 4, 4, requires_grad=True)
    distance = group_distance(members, consensus(members.detach(), most=0))
    distance.sum().backward()
    assert float(distance.detach()) == 0
    assert members.grad is not None
    assert not bool(members.grad.any())


@pytest.mark.parametrize("options", [{"group_size": 0}, {"registration": -1}, {"warm_up": -1}])
def test_options_that_make_no_sense_are_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(BenchmarkError, match="must be"):
        GI(**options)
