"""Pruning by magnitude, a layer at a time and over the whole update, against sorting in plain Python."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gifd_bench.tasks.defenses.sparsification import Sparsification
from gifd_bench.tasks.defenses.top_k import TopK
from gifd_bench.tasks.errors import TaskError
from tests.tasks.defenses.helpers import flat, generator, gradient_of, private_batch

# Few distinct magnitudes, so that there are ties; none is zero, so that zeros can be counted.
VALUES = st.lists(st.sampled_from([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]), min_size=1, max_size=60)
PERCENT = st.integers(1, 99)


def slowly_without_smallest(values: list[float], count: int) -> list[float]:
    zeroed = sorted(range(len(values)), key=lambda i: (abs(values[i]), i))[:count]
    return [0.0 if i in zeroed else value for i, value in enumerate(values)]


@given(st.lists(VALUES, min_size=1, max_size=4), PERCENT)
def test_exactly_the_smallest_entries_of_each_parameter_are_zeroed(
    values: list[list[float]], percent: int
) -> None:
    update = {str(i): torch.tensor(v) for i, v in enumerate(values)}
    sent = Sparsification(percent / 100).apply(update, private_batch(1), generator())
    for i, v in enumerate(values):
        count = percent * len(v) // 100
        assert sent[str(i)].tolist() == slowly_without_smallest(v, count)
        assert int((sent[str(i)] == 0).sum()) == count < len(v)


@given(st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(1, 500))
def test_the_count_is_that_of_exact_arithmetic(sparsity: float, entries: int) -> None:
    sent = Sparsification(sparsity).apply({"a": torch.ones(entries)}, private_batch(1), generator())["a"]
    assert int((sent == 0).sum()) == math.floor(Fraction(repr(sparsity)) * entries)


def test_a_scalar_an_empty_and_a_many_dimensional_parameter_are_pruned_too() -> None:
    update = {"scalar": torch.tensor(2.0), "empty": torch.zeros(0, 3), "kernel": torch.randn(4, 3, 3, 3)}
    sent = Sparsification(0.9).apply(update, private_batch(1), generator())
    assert float(sent["scalar"]) == 2
    assert sent["empty"].shape == (0, 3)
    assert sent["kernel"].flatten().tolist() == slowly_without_smallest(
        update["kernel"].flatten().tolist(), 97
    )


def test_an_attacker_sees_the_mask_in_the_zeros() -> None:
    batch = private_batch(1)
    clean = gradient_of(batch)
    for defense in (Sparsification(0.5), TopK(0.1)):
        observed = defense.apply(clean, batch, generator())
        imitated = type(defense).imitation(observed, None)(
            tuple(torch.ones_like(v) for v in clean.values())
        )
        assert torch.equal(flat(imitated), (flat(observed) != 0).float())


@given(VALUES, VALUES, PERCENT, st.integers(1, 5))
def test_top_k_sends_what_a_slow_memory_of_residuals_sends(
    first: list[float], second: list[float], percent: int, rounds: int
) -> None:
    update = {"a": torch.tensor(first), "b": torch.tensor(second)}
    sent = TopK(percent / 100, rounds).apply(update, private_batch(1), generator())
    values = first + second
    k = max(1, percent * len(values) // 100)
    memory = [0.0] * len(values)
    expected: list[float] = []
    for _ in range(rounds):
        owed = [m + v for m, v in zip(memory, values, strict=True)]
        expected = slowly_without_smallest(owed, len(values) - k)
        memory = [o - s for o, s in zip(owed, expected, strict=True)]
    assert flat(sent).tolist() == expected
    assert int((flat(sent) != 0).sum()) == k


def test_with_enough_rounds_top_k_sends_small_entries_too() -> None:
    update = {"a": torch.tensor([10.0, 4.0, 1.0])}
    sent = [TopK(0.34, rounds).apply(update, private_batch(1), generator())["a"] for rounds in (1, 2, 3, 4)]
    assert [value.tolist() for value in sent] == [[10, 0, 0], [10, 0, 0], [0, 12, 0], [20, 0, 0]]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_all_or_nothing_is_an_error(fraction: float) -> None:
    message = r"must be above 0 and below 1 \(0.9 is 90 %\), not \S+$"
    with pytest.raises(TaskError, match="^sparsification: sparsity " + message):
        Sparsification(fraction)
    with pytest.raises(TaskError, match="^top_k: fraction " + message):
        TopK(fraction)


def test_top_k_needs_a_round() -> None:
    with pytest.raises(TaskError, match="rounds must be at least 1, not 0"):
        TopK(rounds=0)
