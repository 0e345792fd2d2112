"""GGL: its generations against CMA-ES run by hand, its bounds, and its optimizer."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.benchmark.attacks.generator_options import Bound
from gifd_bench.benchmark.attacks.ggl import GGL
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.draws import Draws
from gifd_bench.benchmark.inversion.evolution import CMAES
from gifd_bench.benchmark.inversion.penalties import Iterate, LatentDivergence
from gifd_bench.benchmark.inversion.search import Search
from gifd_bench.benchmark.invert import invert
from gifd_bench.priors.base import State
from gifd_bench.priors.generators.resnet import ResNetPrior
from gifd_bench.tasks.observation import Observation
from tests.benchmark.attacks.references import recorded
from tests.rounds import make_round


def squared_distance(observation: Observation, images: Tensor, label: int) -> float:
    victim = observation.victim()
    loss = F.cross_entropy(victim((images - 0.5) / 0.25), torch.tensor([label]))
    gradients = torch.autograd.grad(loss, list(victim.parameters()))
    observed = observation.update.values()
    return sum(float(((g - o) ** 2).sum()) for g, o in zip(gradients, observed, strict=True))


def slow_divergence(z: Tensor) -> float:
    entries = z.flatten().tolist()
    mean = sum(entries) / len(entries)
    variance = sum((e - mean) ** 2 for e in entries) / len(entries)
    return -0.5 * (1 + math.log(variance) - mean**2 - variance)


@pytest.mark.parametrize("bound", ["tanh", "kl"])
def test_a_generation_is_asked_evaluated_and_told(bound: Bound, tiny_prior: ResNetPrior) -> None:
    import cma

    observation, _ = make_round(1, target=1)  # a cat, which the tiny prior knows
    record, result = recorded(GGL(iterations=3, population=6, bound=bound), observation, tiny_prior)
    generator = torch.Generator().manual_seed(Draws(0, restart=0).seed("evolution"))

    def randn(*shape: int) -> Any:
        return torch.randn(shape, generator=generator, dtype=torch.float64).numpy()

    options = {"popsize": 6, "randn": randn, "seed": math.nan, "verbose": -9}
    strategy = cma.CMAEvolutionStrategy(np.zeros(8), 1.0, options)
    embedding = tiny_prior.generator.embedding.weight[:1]
    for generation in range(3):
        members, losses, told = strategy.ask(), [], []
        for member in members:
            v = torch.from_numpy(member).float()[None]
            z = v.tanh() if bound == "tanh" else v
            image = tiny_prior.generate(State(0, {"z": z, "embedding": embedding}, ()))
            losses.append(squared_distance(observation, image, int(result.labels)))
            penalty = 0.0 if bound == "tanh" else 0.1 * len(observation.update) * slow_divergence(v)
            told.append(losses[-1] + penalty)
        strategy.tell(members, told)
        assert float(result.curve[generation]) == pytest.approx(min(losses), rel=1e-4)
        expected = torch.from_numpy(strategy.mean).float()[None]
        torch.testing.assert_close(record.searched[generation]["z"], expected, atol=1e-5, rtol=0)


def test_every_member_is_a_candidate(observation: Observation, tiny_prior: ResNetPrior) -> None:
    result = invert(GGL(iterations=4, population=7), observation, tiny_prior, 0, accelerator="cpu")
    assert result.gradient_evaluations == 4 * 7 + 1
    assert result.matching_loss <= float(result.curve.min())


def test_an_unknown_class_is_searched_in_deviations_over_the_classes(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    attack = GGL(iterations=2, population=6)
    record, _ = recorded(attack, observation, tiny_prior)
    assert set(record.searched[-1]) == {"z", "embedding"}
    table = tiny_prior.generator.embedding.weight
    seen = attack.state(attack.search).tensors["embedding"][:1]
    expected = table.mean(dim=0) + table.std(dim=0) * record.searched[-1]["embedding"]
    torch.testing.assert_close(seen, expected)


def test_numpys_global_generator_is_neither_used_nor_changed(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    np.random.seed(3)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    one = invert(GGL(iterations=2, population=6), observation, tiny_prior, 0, accelerator="cpu")
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]
    np.random.seed(4)
    other = invert(GGL(iterations=2, population=6), observation, tiny_prior, 0, accelerator="cpu")
    assert torch.equal(one.images, other.images)


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"population": 1}])
def test_an_empty_search_is_an_error(wrong: dict[str, int]) -> None:
    with pytest.raises(BenchmarkError, match=r"at least [12], not [01]"):
        GGL(**wrong)  # type: ignore[arg-type]


@given(st.lists(st.floats(-3, 3, width=32), min_size=2, max_size=8, unique=True))
def test_divergence_is_that_of_a_normal_with_the_entries_moments(entries: list[float]) -> None:
    z = torch.tensor([entries], dtype=torch.float64)
    mean, std = z.mean(), z.std(unbiased=False)
    if std < 1e-2:
        return
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, std), torch.distributions.Normal(0.0, 1.0)
    )
    iterate = Iterate(z, z, Search({"z": z[None]}), 0)
    penalty = LatentDivergence(1.0, lambda search: search.searched)
    assert float(penalty(iterate)) == pytest.approx(float(expected), abs=1e-5)


def sphere(x: Tensor) -> Any:
    return lambda: ((x - 0.5) ** 2).flatten(1).sum(dim=1)


def test_cma_es_finds_the_minimum_of_a_sphere() -> None:
    x = torch.zeros(8, 2, 3)
    evolution = CMAES([x], population=8, deviation=1.0, seeds=[0])
    for _ in range(60):
        evolution.step(sphere(x))
    torch.testing.assert_close(x, torch.full((8, 2, 3), 0.5), atol=1e-2, rtol=0)


def test_searches_side_by_side_are_what_each_is_alone() -> None:
    both, one, other = torch.zeros(12, 3), torch.zeros(6, 3), torch.zeros(6, 3)
    together = CMAES([both], population=6, deviation=1.0, seeds=[3, 4])
    apart = [CMAES([x], 6, 1.0, [seed]) for x, seed in ((one, 3), (other, 4))]
    for _ in range(5):
        together.step(sphere(both))
        for evolution, x in zip(apart, (one, other), strict=True):
            evolution.step(sphere(x))
    assert torch.equal(both, torch.cat((one, other)))
    assert not torch.equal(one, other)


def test_cma_es_goes_on_from_its_state_bit_for_bit() -> None:
    x = torch.zeros(12, 5)
    evolution = CMAES([x], population=6, deviation=1.0, seeds=[0, 1])
    for _ in range(4):
        evolution.step(sphere(x))
    y = x.clone()
    resumed = CMAES([y], population=6, deviation=1.0, seeds=[1, 2])
    resumed.load_state_dict(copy.deepcopy(evolution.state_dict()))
    for _ in range(4):
        evolution.step(sphere(x))
        resumed.step(sphere(y))
        assert torch.equal(x, y)


def test_cma_es_puts_members_without_a_loss_last() -> None:
    x = torch.zeros(8, 2)
    evolution = CMAES([x], population=8, deviation=1.0, seeds=[0])
    for _ in range(40):
        evolution.step(lambda: torch.where(x[:, 0] < 0, torch.nan, (x - 0.5).square().sum(dim=1)))
    torch.testing.assert_close(x, torch.full((8, 2), 0.5), atol=0.05, rtol=0)


def test_cma_es_of_very_many_entries_has_a_diagonal_covariance() -> None:
    x = torch.zeros(4, 5000)
    evolution = CMAES([x], population=4, deviation=1.0, seeds=[0])
    for _ in range(2):
        evolution.step(sphere(x))
    assert bool(torch.isfinite(x).all())
