"""Few bits and signs, against arithmetic in plain Python."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gifd_bench.tasks.defenses.quantisation import Quantisation, Sign
from gifd_bench.tasks.errors import TaskError
from tests.tasks.defenses.helpers import cosine, flat, generator, gradient_of, private_batch

NUMBERS = st.lists(st.floats(-100, 100, width=32, allow_subnormal=False), min_size=1, max_size=20)


@given(NUMBERS, st.integers(2, 16), st.sampled_from(["stochastic", "nearest"]))
def test_every_entry_becomes_a_neighboring_level(values: list[float], bits: int, rounding: str) -> None:
    update = {"a": torch.tensor(values, dtype=torch.float64)}
    sent = Quantisation(bits, rounding).apply(update, private_batch(1), generator())["a"].tolist()  # type: ignore[arg-type]
    largest, levels = max(abs(v) for v in values), 2 ** (bits - 1) - 1
    if largest == 0:
        assert sent == values
        return
    for value, rounded in zip(values, sent, strict=True):
        position = value / largest * levels
        level = rounded / largest * levels
        assert level == pytest.approx(round(level), abs=1e-6)
        allowed = 0.5 if rounding == "nearest" else 1.0
        assert abs(level - position) <= allowed + 1e-6


def test_stochastic_rounding_keeps_the_mean() -> None:
    update = {
        "a": torch.cat([torch.tensor([1.0]), torch.full((20_000,), 0.3), torch.full((20_000,), -0.1)])
    }
    sent = Quantisation(3).apply(update, private_batch(1), generator())["a"]
    assert set((sent * 3).round().tolist()) == {-1, 0, 1, 3}
    assert float(sent[1:20_001].mean()) == pytest.approx(0.3, abs=0.01)
    assert float(sent[20_001:].mean()) == pytest.approx(-0.1, abs=0.01)


@pytest.mark.parametrize("bits", [3, 8])
def test_rounding_to_the_nearest_is_imitated_exactly(bits: int) -> None:
    batch, defense = private_batch(2), Quantisation(bits, "nearest")
    clean = gradient_of(batch)
    observed = defense.apply(clean, batch, generator())
    imitation = Quantisation.imitation(observed, asdict(defense))
    torch.testing.assert_close(flat(imitation(tuple(clean.values()))), flat(observed), rtol=1e-5, atol=1e-8)
    candidate = tuple(value.clone().requires_grad_() for value in clean.values())
    gradients = torch.autograd.grad(flat(imitation(candidate)).sum(), candidate)
    assert torch.equal(flat(gradients), torch.ones_like(flat(gradients)))


@pytest.mark.parametrize("bits", [3, 8])
def test_the_noise_of_stochastic_rounding_is_known_in_size(bits: int) -> None:
    batch, defense = private_batch(2), Quantisation(bits)
    clean = gradient_of(batch)
    observed = defense.apply(clean, batch, generator())
    spread = float((flat(observed) - flat(clean)).square().mean().sqrt())
    for options in (None, asdict(defense)):
        assert spread < float(Quantisation.imitation(observed, options).noise_std) < 1.7 * spread


def test_rounding_to_the_nearest_is_no_better_imitation_of_stochastic_rounding() -> None:
    batch = private_batch(2)
    clean = gradient_of(batch)
    observed = flat(Quantisation(4).apply(clean, batch, generator()))
    nearest = flat(Quantisation(4, "nearest").apply(clean, batch, generator()))
    assert cosine(nearest, observed) < cosine(flat(clean), observed)


@given(NUMBERS)
def test_a_sign_has_the_mean_magnitude(values: list[float]) -> None:
    update = {"a": torch.tensor(values, dtype=torch.float64)}
    mean = sum(abs(v) for v in values) / len(values)
    expected = [math.copysign(mean, v) if v else 0.0 for v in values]
    sent = Sign().apply(update, private_batch(1), generator())["a"]
    assert sent.tolist() == pytest.approx(expected)


def test_signs_are_imitated_exactly_and_differentiated_as_the_identity() -> None:
    batch = private_batch(2)
    clean = gradient_of(batch)
    observed = Sign().apply(clean, batch, generator())
    imitation = Sign.imitation(observed, None)
    candidate = tuple((3 * value).requires_grad_() for value in clean.values())
    imitated = flat(imitation(candidate))
    torch.testing.assert_close(imitated, flat(observed), rtol=1e-5, atol=1e-7)
    gradients = torch.autograd.grad(imitated.sum(), candidate)
    assert torch.equal(flat(gradients), torch.ones_like(imitated))


@pytest.mark.parametrize("bits", [0, 1, 17, 2.5, math.nan])
def test_bits_out_of_range_are_an_error(bits: int) -> None:
    with pytest.raises(TaskError, match=r"^quantisation: bits must be a whole number from 2 to 16, not"):
        Quantisation(bits)


def test_a_rounding_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(TaskError, match="rounding is one of stochastic, nearest, not 'up'"):
        Quantisation(8, "up")  # type: ignore[arg-type]
