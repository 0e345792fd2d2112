"""DP-SGD, against one gradient after another; and the price in epsilon."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gifd_bench.tasks.defenses.base import PrivateBatch
from gifd_bench.tasks.defenses.dp_sgd import DPSGD
from gifd_bench.tasks.errors import TaskError
from tests.tasks.defenses.helpers import flat, generator, gradient_of, private_batch


def slow_mean_of_clipped(batch: PrivateBatch, bound: float) -> Tensor:
    total = torch.zeros((), dtype=batch.inputs.dtype)
    for image, label in zip(batch.inputs, batch.labels, strict=True):
        gradient = flat(gradient_of(PrivateBatch(batch.model, image[None], label[None])))
        total = total + gradient * min(1.0, bound / float(gradient.norm()))
    return total / len(batch.inputs)


class Branching(nn.Module):
    """Branches on a value, which cannot be vectorized."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * 32 * 32, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x.flatten(1))
        return 2 * logits if bool(logits.detach().sum() > 0) else logits


class Frozen(nn.Module):
    """BatchNorm with running statistics, which does not mix examples."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 8, stride=8), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)
        )
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


@pytest.mark.parametrize("images", [1, 3, 10])  # ten are more than one chunk
@pytest.mark.parametrize("model", [None, Branching, Frozen])
def test_each_example_is_clipped_by_itself(images: int, model: type[nn.Module] | None) -> None:
    torch.manual_seed(0)
    batch = private_batch(images, model() if model else None)
    # In double precision: in single, a ReLU may open or not depending on how many images are convolved.
    batch = PrivateBatch(batch.model.double(), batch.inputs.double(), batch.labels)
    norms = [
        float(flat(gradient_of(PrivateBatch(batch.model, x[None], y[None]))).norm())
        for x, y in zip(batch.inputs, batch.labels, strict=True)
    ]
    middle = sorted(norms)[images // 2] * 0.99  # some are clipped, and some are not
    for bound in (middle, 1e6):
        sent = flat(DPSGD(bound, 0.0).gradient(batch, generator()))
        torch.testing.assert_close(sent, slow_mean_of_clipped(batch, bound))


def test_the_noise_on_the_mean_has_the_std_of_the_paper() -> None:
    batch = private_batch(4)
    names = [name for name, _ in batch.model.named_parameters()]
    clean = flat(DPSGD(0.5, 0.0).gradient(batch, generator()))
    noisy = DPSGD(0.5, 3.0).gradient(batch, generator())
    expected = 3.0 * 0.5 / 4
    assert float((flat(noisy) - clean).std()) == pytest.approx(expected, rel=0.03)
    observed = dict(zip(names, noisy, strict=True))
    for options in (None, {"bound": 0.5, "noise_multiplier": 3.0}):
        assert float(DPSGD.imitation(observed, options).noise_std) == pytest.approx(expected, rel=0.1)
    assert DPSGD.imitation(observed, {"bound": 0.5, "noise_multiplier": 0.0}).noise_std == 0


def test_an_attacker_imitates_the_clipping_of_a_single_image_exactly() -> None:
    batch = private_batch(1)
    clean = gradient_of(batch)
    observed = dict(zip(clean, DPSGD(0.1, 0.0).gradient(batch, generator()), strict=True))
    for options in (None, {"bound": 0.1, "noise_multiplier": 0.0}):
        imitated = DPSGD.imitation(observed, options)(tuple(clean.values()))
        torch.testing.assert_close(flat(imitated), flat(observed))


@pytest.mark.parametrize("running", [True, False])
def test_batch_norm_that_mixes_examples_is_an_error(running: bool) -> None:
    model = nn.Sequential(
        nn.BatchNorm2d(3, track_running_stats=running), nn.Flatten(), nn.Linear(3 * 32 * 32, 10)
    )
    model.train(running)
    with pytest.raises(TaskError, match="dp_sgd: BatchNorm layer '0' mixes the examples") as raised:
        DPSGD().gradient(private_batch(2, model), generator())
    assert "\n" not in str(raised.value)


def test_epsilon_is_that_of_the_gaussian_mechanism_where_all_examples_take_part() -> None:
    steps, sigma, delta = 200, 4.0, 1e-5
    # Slowly: Rényi divergences add up over the steps; the best order converts to (epsilon, delta)
    # (Canonne et al., "The discrete Gaussian for differential privacy", 2020, proposition 12).
    orders = [1 + x / 10 for x in range(1, 100)] + list(range(12, 64))
    slow = min(
        steps * a / (2 * sigma**2) + math.log1p(-1 / a) - (math.log(delta) + math.log(a)) / (a - 1)
        for a in orders
    )
    assert DPSGD(1.0, sigma).epsilon(1.0, steps, delta) == pytest.approx(slow, rel=1e-6)
    assert DPSGD(1.0, sigma).epsilon(0.1, steps, delta) < 0.5 * slow
    assert DPSGD(1.0, 2 * sigma).epsilon(1.0, steps, delta) < slow
    assert DPSGD(1.0, 0.0).epsilon(0.01, steps, delta) == math.inf


@pytest.mark.parametrize(("rate", "steps", "delta"), [(0, 1, 0.1), (1.1, 1, 0.1), (1, 0, 0.1), (1, 1, 0)])
def test_an_epsilon_of_nothing_is_an_error(rate: float, steps: int, delta: float) -> None:
    with pytest.raises(TaskError, match="epsilon needs a sample_rate"):
        DPSGD().epsilon(rate, steps, delta)


def test_bad_parameters_are_errors() -> None:
    for bound in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(TaskError, match=r"^dp_sgd: bound must be a positive number"):
            DPSGD(bound)
    for multiplier in (-0.1, math.nan, math.inf):
        with pytest.raises(TaskError, match=r"^dp_sgd: noise_multiplier must be a number of at least 0"):
            DPSGD(1.0, multiplier)
