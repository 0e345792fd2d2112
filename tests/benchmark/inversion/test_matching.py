"""Matching losses, against slow references over flattened entries."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.choices import Exponential, LayerWeights, Linear, Matching
from gifd_bench.benchmark.inversion.matching import (
    L1,
    Cosine,
    Euclidean,
    LayerwiseCosine,
    MaskedCosine,
    MatchingLoss,
)

SHAPES = ((4, 3, 3, 3), (4,), (2, 4))

LOSSES: dict[str, Callable[[LayerWeights | None], MatchingLoss]] = {
    "cosine": Cosine,
    "layerwise": LayerwiseCosine,
    "masked": lambda weights: MaskedCosine(0.3, weights),
    "euclidean": Euclidean,
    "l1": L1,
}


def update(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def prepared(loss: MatchingLoss, observed: Sequence[Tensor]) -> MatchingLoss:
    loss.prepare(observed)
    return loss


def entries(tensors: Sequence[Tensor]) -> list[list[float]]:
    return [tensor.flatten().tolist() for tensor in tensors]


def slow_cosine(one: list[float], other: list[float], weights: list[float]) -> float:
    inner = sum(w * a * b for a, b, w in zip(one, other, weights, strict=True))
    squares = [sum(w * a * a for a, w in zip(x, weights, strict=True)) for x in (one, other)]
    return 1 - inner / math.sqrt(squares[0] * squares[1])


def slow(
    name: str, candidate: list[list[float]], observed: list[list[float]], weights: list[float]
) -> float:
    """Plain Python, entry by entry."""
    if name == "layerwise":
        each = [slow_cosine(c, o, [1.0] * len(c)) for c, o in zip(candidate, observed, strict=True)]
        return sum(w * d for w, d in zip(weights, each, strict=True)) / sum(weights)
    flat = []
    for c, o, w in zip(candidate, observed, weights, strict=True):
        order = sorted(range(len(o)), key=[-abs(entry) for entry in o].__getitem__)
        count = max(1, int(0.3 * len(o))) if name == "masked" else len(o)
        flat += [(c[i], o[i], w) for i in order[:count]]
    if name == "euclidean":
        return sum(w * (a - b) ** 2 for a, b, w in flat)
    if name == "l1":
        return sum(w * abs(a - b) for a, b, w in flat)
    return slow_cosine(*(list(column) for column in zip(*flat, strict=True)))


@pytest.mark.parametrize(
    "weights", [None, Linear("falling"), Linear("rising"), Exponential(1.0), Exponential(-0.5)]
)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_what_plain_python_makes_of_the_entries(name: str, weights: LayerWeights | None) -> None:
    loss = prepared(LOSSES[name](weights), update(0))
    per_tensor = [1.0] * 3 if weights is None else weights(3)
    expected = slow(name, entries(update(1)), entries(update(0)), per_tensor)
    assert float(loss(update(1))) == pytest.approx(expected, rel=1e-12)
    assert float(loss(update(0))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("weights", [None, Exponential(0.3)])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_has_the_gradient_of_finite_differences(name: str, weights: LayerWeights | None) -> None:
    loss = prepared(LOSSES[name](weights), update(0))
    candidate = [tensor.requires_grad_() for tensor in update(1)]
    assert torch.autograd.gradcheck(lambda *tensors: loss(tensors), candidate)


@given(scale=st.floats(1e-3, 1e3), name=st.sampled_from(sorted(LOSSES)))
@settings(max_examples=25)
def test_a_loss_ignores_the_candidates_scale_where_it_says_so(scale: float, name: str) -> None:
    loss = prepared(LOSSES[name](None), update(0))
    scaled = float(loss([scale * tensor for tensor in update(1)]))
    same = scaled == pytest.approx(float(loss(update(1))), rel=1e-9)
    names = {"layerwise": "layerwise_cosine", "masked": "masked_cosine"}
    matching = Matching(names.get(name, name), 0.3 if name == "masked" else None)  # type: ignore[arg-type]
    assert same if matching.ignores_scale else same == (abs(scale - 1) < 1e-9)


@pytest.mark.parametrize("name", ["cosine", "layerwise", "masked"])
def test_the_opposite_direction_is_at_distance_two(name: str) -> None:
    loss = prepared(LOSSES[name](None), update(0))
    assert float(loss([-3 * tensor for tensor in update(0)])) == pytest.approx(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("zeros", ["one of the candidate", "candidate", "one observed", "observed", "both"])
def test_a_tensor_of_zeros_has_a_finite_loss_and_gradient(
    zeros: str, name: str, dtype: torch.dtype
) -> None:
    observed, candidate = ([t.to(dtype) for t in update(seed)] for seed in (0, 1))
    if zeros == "one of the candidate":
        candidate[1].zero_()
    if zeros in ("candidate", "both"):
        candidate = [torch.zeros_like(t) for t in candidate]
    if zeros == "one observed":
        observed[1].zero_()
    if zeros in ("observed", "both"):
        observed = [torch.zeros_like(t) for t in observed]
    loss = prepared(LOSSES[name](None), observed)
    candidate = [tensor.requires_grad_() for tensor in candidate]
    value = loss(candidate)
    gradients = torch.autograd.grad(value, candidate)
    assert bool(torch.isfinite(value))
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert bool(torch.isfinite(loss.noise_floor(0.1)))


@pytest.mark.parametrize("name", LOSSES)
def test_a_tensor_without_entries_changes_nothing(name: str) -> None:
    empty = torch.zeros(0, dtype=torch.float64)
    plain = prepared(LOSSES[name](None), update(0))
    loss = prepared(LOSSES[name](None), [*update(0), empty])
    assert float(loss([*update(1), empty])) == pytest.approx(float(plain(update(1))))
    assert float(loss.noise_floor(0.1)) == pytest.approx(float(plain.noise_floor(0.1)))


def test_the_layerwise_cosine_leaves_out_what_was_not_observed() -> None:
    observed, candidate = update(0), update(1)
    all_but_one = prepared(LayerwiseCosine(), [observed[0], observed[2]])([candidate[0], candidate[2]])
    observed[1].zero_()
    assert float(prepared(LayerwiseCosine(), observed)(candidate)) == pytest.approx(float(all_but_one))


def test_a_mask_of_everything_is_the_plain_cosine() -> None:
    plain, masked = (prepared(loss, update(0)) for loss in (Cosine(), MaskedCosine(1.0)))
    assert float(masked(update(1))) == pytest.approx(float(plain(update(1))))
    assert float(masked.noise_floor(0.2)) == pytest.approx(float(plain.noise_floor(0.2)))


@pytest.mark.parametrize("fraction", [0, -0.1, 1.1, math.nan])
def test_a_fraction_out_of_range_is_an_error(fraction: float) -> None:
    with pytest.raises(BenchmarkError, match="fraction"):
        Matching("masked_cosine", fraction)


def test_layer_weights_by_hand() -> None:
    assert Linear("falling")(4) == [1, 0.75, 0.5, 0.25]
    assert Linear("rising")(4) == [0.25, 0.5, 0.75, 1]
    assert Exponential(1.0)(3) == pytest.approx([1, math.exp(-1), math.exp(-2)])
    assert Exponential(-2)(3) == pytest.approx([math.exp(-4), math.exp(-2), 1])
    # No weight overflows, however deep the model.
    assert max(Exponential(-5)(1000)) == 1
    with pytest.raises(BenchmarkError, match="finite"):
        Exponential(math.inf)


def heavy_tailed(seed: int) -> list[Tensor]:
    """Entries as a gradient has them: many small ones, few large, layers of unlike size."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((200, 40), (3000,), (50, 10))
    scales = (0.02, 0.3, 0.1)
    return [
        scale * torch.randn(shape, generator=generator) * torch.randn(shape, generator=generator).exp()
        for shape, scale in zip(shapes, scales, strict=True)
    ]


@pytest.mark.parametrize("std", [0.0, 0.003, 0.03, 0.1])
@pytest.mark.parametrize("weights", [None, Exponential(1.0)])
@pytest.mark.parametrize("name", [*LOSSES, "masked to one percent"])
def test_the_noise_floor_is_the_mean_loss_of_the_truth(
    name: str, weights: LayerWeights | None, std: float
) -> None:
    make = LOSSES.get(name, lambda weights: MaskedCosine(0.01, weights))
    truth, generator = heavy_tailed(0), torch.Generator().manual_seed(1)
    losses, floors = [], []
    for _ in range(20):
        noisy = [t + std * torch.randn(t.shape, generator=generator) for t in truth]
        loss = prepared(make(weights), noisy)
        losses.append(float(loss(truth)))
        floors.append(float(loss.noise_floor(std)))
    mean = sum(losses) / len(losses)
    assert sum(floors) / len(floors) == pytest.approx(mean, rel=0.1, abs=1e-4)


def test_the_noise_floor_of_pure_noise_is_that_of_no_similarity() -> None:
    noise = [0.1 * t for t in update(0)]
    for name in ("cosine", "layerwise", "masked"):
        assert float(prepared(LOSSES[name](None), noise).noise_floor(1.0)) == 1


def test_a_copy_of_a_loss_can_be_prepared_for_another_update() -> None:
    for make in LOSSES.values():
        shared = make(Linear("falling"))
        one, other = (prepared(copy.copy(shared), update(seed)) for seed in (0, 1))
        assert float(one(update(1))) == pytest.approx(
            float(prepared(make(Linear("falling")), update(0))(update(1)))
        )
        assert float(other(update(1))) == pytest.approx(0, abs=1e-12)
