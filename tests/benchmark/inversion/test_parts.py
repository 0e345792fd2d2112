"""Matching losses, regularisers, schedules, radii, labels and candidates, against slow references."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchmark.errors import BenchmarkError
from benchmark.inversion.candidates import LowestMatchingLoss
from benchmark.inversion.labels import infer_labels
from benchmark.inversion.matching import Cosine, Euclidean
from benchmark.inversion.radii import PerEntry, PerStage
from benchmark.inversion.regularizers import image_norm, total_variation
from benchmark.inversion.schedules import three_drops, warm_up_and_cosine
from benchmark.inversion.simulation import SimulatedClient
from tasks import Observation
from tests.conftest import make_round


def update(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((4, 3, 3, 3), (4,), (2, 4))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def test_cosine_is_over_all_parameters_at_once() -> None:
    loss = Cosine()
    loss.prepare(update(0))
    one = [float(v) for tensor in update(0) for v in tensor.flatten()]
    other = [float(v) for tensor in update(1) for v in tensor.flatten()]
    inner = sum(a * b for a, b in zip(one, other, strict=True))
    expected = 1 - inner / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))
    assert float(loss(update(1))) == pytest.approx(expected, rel=1e-12)
    assert float(loss(update(0))) == pytest.approx(0, abs=1e-12)
    assert float(loss([-3 * tensor for tensor in update(0)])) == pytest.approx(2)


def test_euclidean_is_the_sum_of_squares() -> None:
    loss = Euclidean()
    loss.prepare(update(0))
    pairs = zip(update(0), update(1), strict=True)
    expected = sum(
        float((a - b) ** 2) for x, y in pairs for a, b in zip(x.flatten(), y.flatten(), strict=True)
    )
    assert float(loss(update(1))) == pytest.approx(expected)


@pytest.mark.parametrize("loss", [Cosine(), Euclidean()])
def test_matching_losses_have_the_gradient_of_finite_differences(loss: Cosine | Euclidean) -> None:
    loss.prepare(update(0))
    candidate = [tensor.requires_grad_() for tensor in update(1)]
    assert torch.autograd.gradcheck(lambda *tensors: loss(tensors), candidate)


def test_total_variation_by_hand() -> None:
    image = torch.tensor([[[[0.0, 1.0], [0.5, 0.25]]]])
    assert float(total_variation(image)) == pytest.approx((1 + 0.25) / 2 + (0.5 + 0.75) / 2)


def test_image_norm_by_hand() -> None:
    images = torch.stack([torch.full((3, 2, 2), 2.0), torch.zeros(3, 2, 2)])
    assert float(image_norm(images)) == pytest.approx(math.sqrt(12 * 4) / 4 / 2)


def rates(schedule: torch.optim.lr_scheduler.LRScheduler, iterations: int) -> list[float]:
    found = []
    for _ in range(iterations):
        found.append(schedule.get_last_lr()[0])
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
    centre = torch.zeros(5, 3, 4)
    assert PerEntry(0.5).radius(3, centre) == 6
    assert PerStage([1.0, 2.0]).radius(2, centre) == 2
    with pytest.raises(BenchmarkError, match="none for stage 3"):
        PerStage([1.0, 2.0]).radius(3, centre)
    for wrong in (lambda: PerEntry(0), lambda: PerStage([]), lambda: PerStage([1.0, -1.0])):
        with pytest.raises(BenchmarkError, match="must be positive"):
            wrong()


def test_the_label_of_one_image_is_always_inferred() -> None:
    for target in range(10):
        observation, truth = make_round(1, target)
        assert torch.equal(infer_labels(observation), truth.labels)


def test_the_distinct_labels_of_a_batch_are_inferred() -> None:
    observation, truth = make_round(3, 1)
    assert sorted(infer_labels(observation).tolist()) == truth.labels.tolist()


def test_granted_labels_are_used(observation: Observation) -> None:
    granted = Observation(**{**vars(observation), "labels": torch.tensor([7])})
    assert infer_labels(granted).tolist() == [7]


def test_the_simulated_client_recomputes_the_observed_update() -> None:
    observation, truth = make_round(3)
    client = SimulatedClient(observation, torch.device("cpu"))
    for found, expected in zip(client.update(truth.images, truth.labels), client.observed, strict=True):
        torch.testing.assert_close(found, expected)


def test_normalisation_round_trip() -> None:
    observation, truth = make_round()
    client = SimulatedClient(observation, torch.device("cpu"))
    torch.testing.assert_close(client.denormalise(client.normalise(truth.images)), truth.images)


def test_the_lowest_loss_is_kept_with_its_own_images() -> None:
    best = LowestMatchingLoss()
    for loss in (torch.nan, 3.0, 1.0, torch.nan, 2.0, torch.inf):
        images = torch.full((1, 3, 2, 2), loss)
        best.offer(torch.tensor(loss), images)
        images.zero_()
    kept = best.candidate("it")
    assert float(kept.matching_loss) == 1.0
    assert bool((kept.images == 1.0).all())
