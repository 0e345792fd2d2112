"""Schedules, radii, the simulated client and candidates, against slow references."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.candidates import BestIterate, Candidate, Offer, first_best
from gifd_bench.benchmark.inversion.radii import PerEntry, PerStage
from gifd_bench.benchmark.inversion.schedules import three_drops, warm_up_and_cosine
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.truth import Truth
from tests.rounds import make_round


def rates(schedule: torch.optim.lr_scheduler.LRScheduler, iterations: int) -> list[float]:
    found = []
    for _ in range(iterations):
        found.append(float(schedule.get_last_lr()[0]))
        schedule.optimizer.step()
        schedule.step()
    return found


def sgd() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def test_three_drops_come_at_three_eighths_five_eighths_and_seven_eighths() -> None:
    found = rates(three_drops(sgd(), 800), 800)
    drops = [i for i in range(1, 800) if found[i] < found[i - 1] / 2]
    assert drops == [300, 500, 700]
    assert found[-1] == pytest.approx(1e-3)


def test_warm_up_and_cosine_has_no_step_of_rate_zero() -> None:
    found = rates(warm_up_and_cosine(sgd(), 1000), 1000)
    assert min(found) > 0
    assert found[0] < 0.05
    assert found.index(max(found)) == pytest.approx(50, abs=2)
    assert found[240] == pytest.approx(1)
    time = 801 / 1001
    assert found[800] == pytest.approx(0.5 - 0.5 * math.cos(math.pi * (1 - time) / 0.75))
    assert found[-1] < 1e-4


def test_radii() -> None:
    assert PerEntry(0.5).radius(3, 12) == 6
    assert PerStage((1.0, 2.0)).radius(2, 12) == 2
    with pytest.raises(BenchmarkError, match="none for stage 3"):
        PerStage((1.0, 2.0)).radius(3, 12)
    for wrong in (lambda: PerEntry(0), lambda: PerStage(()), lambda: PerStage((1.0, -1.0))):
        with pytest.raises(BenchmarkError, match="must be positive"):
            wrong()


def test_the_simulated_client_recomputes_the_observed_update() -> None:
    observation, truth = make_round(3)
    client = SimulatedClient(observation, torch.device("cpu"))
    for found, expected in zip(client.update(truth.images, truth.labels), client.observed, strict=True):
        torch.testing.assert_close(found, expected)


def test_normalization_round_trip(observation: Observation, truth: Truth) -> None:
    client = SimulatedClient(observation, torch.device("cpu"))
    torch.testing.assert_close(client.denormalize(client.normalize(truth.images)), truth.images)


def offer(best: BestIterate, losses: Sequence[float]) -> None:
    """Iterates whose images and label probabilities are full of their criterion."""
    for loss in losses:
        images, targets = torch.full((1, 1, 3, 2, 2), loss), torch.full((1, 1, 10), loss)
        criterion = torch.tensor([loss], requires_grad=True)
        best.offer(Offer(criterion, torch.tensor([-loss]), images, targets, {}))
        images.zero_()
        targets.zero_()


def kept(best: BestIterate) -> float:
    """The criterion that is kept, once all that goes with it is seen to be its own."""
    (candidate,) = best.candidates("it", 0)
    assert candidate.stage == "it"
    assert bool((candidate.images == candidate.criterion).all())
    assert bool((candidate.targets == candidate.criterion).all())
    assert float(candidate.matching_loss) == -float(candidate.criterion)
    assert not candidate.criterion.requires_grad
    return float(candidate.criterion)


def test_the_lowest_criterion_is_kept_with_its_own_images_and_targets() -> None:
    best = BestIterate()
    offer(best, (torch.nan, 3.0, 1.0, torch.nan, 2.0, torch.inf))
    assert kept(best) == 1.0


@pytest.mark.parametrize("floor", [1.5, torch.tensor(1.5)])
def test_with_a_floor_the_first_iterate_to_come_down_to_it_is_kept(floor: float | Tensor) -> None:
    best = BestIterate(floor)
    offer(best, (torch.nan, 3.0, 4.0, 2.0))
    assert kept(best) == 2.0
    offer(best, (1.5, 1.4, 0.1, torch.nan, 5.0))
    assert kept(best) == 1.5


def test_a_floor_that_is_never_reached_leaves_the_lowest_criterion() -> None:
    best = BestIterate(0.5)
    offer(best, (3.0, 1.0, 2.0))
    assert kept(best) == 1.0


@given(
    losses=st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, math.nan, math.inf]), min_size=1, max_size=8),
    floor=st.sampled_from([-math.inf, 0.0, 1.0, 2.5]),
    interrupted=st.integers(0, 8),
)
def test_the_iterate_kept_is_that_of_a_slow_loop_interrupted_or_not(
    losses: list[float], floor: float, interrupted: int
) -> None:
    expected = losses[0]
    for loss in losses[1:]:
        if not math.isfinite(expected) or (expected > floor and loss < expected):
            expected = loss
    best = BestIterate(floor)
    offer(best, losses[:interrupted])
    resumed = BestIterate(floor)
    resumed.kept = best.kept
    offer(resumed, losses[interrupted:])
    assert float(resumed.candidates("it", 0)[0].criterion) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("floor", "chosen"), [(-math.inf, "d"), (0.5, "d"), (1.0, "c"), (2.0, "b"), (9.0, "b")]
)
def test_the_stage_chosen_is_the_first_to_come_down_to_the_floor(floor: float, chosen: str) -> None:
    losses = {"a": math.nan, "b": 2.0, "c": 1.0, "d": 0.8, "e": math.inf}
    stages = [
        Candidate(stage, torch.zeros(1, 3, 2, 2), torch.zeros(1), torch.zeros(()), torch.tensor(loss), 0)
        for stage, loss in losses.items()
    ]
    assert first_best(stages, floor).stage == chosen


def test_no_iterate_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no iterate"):
        BestIterate().candidates("it", 0)
