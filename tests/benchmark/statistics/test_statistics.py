"""Intervals and tests against slow references and known values."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from gifd_bench.benchmark.statistics.interval import mean_interval
from gifd_bench.benchmark.statistics.paired import FEWEST_PAIRS, holm, signed_rank

NUMBERS = st.floats(-100, 100, allow_nan=False)


def slow_interval(units: list[list[float]], draws: int = 4000) -> tuple[float, float]:
    """Percentile bootstrap of the pooled mean, unit by unit."""
    generator = random.Random(1)
    means = []
    for _ in range(draws):
        values = [v for _ in units for v in units[generator.randrange(len(units))]]
        means.append(sum(values) / len(values))
    means.sort()
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


def test_an_interval_agrees_with_a_bootstrap_in_plain_python() -> None:
    values = [random.Random(0).gauss(20, 3) for _ in range(12)]
    interval = mean_interval(values)
    low, high = slow_interval([[value] for value in values])
    assert interval.mean == pytest.approx(sum(values) / 12)
    assert interval.n == 12
    assert (interval.low, interval.high) == (pytest.approx(low, abs=0.15), pytest.approx(high, abs=0.15))


def test_the_values_of_one_image_are_resampled_together() -> None:
    """Five seeds of four images are no twenty images: the interval is as wide as that of four."""
    images = [10.0, 20.0, 30.0, 40.0]
    values = [image + 0.1 * seed for image in images for seed in range(5)]
    units = [k for k in range(4) for _ in range(5)]
    interval = mean_interval(values, units)
    assert interval.n == 4
    low, high = slow_interval([values[5 * k : 5 * k + 5] for k in range(4)])
    assert (interval.low, interval.high) == (pytest.approx(low, abs=1), pytest.approx(high, abs=1))
    alone = mean_interval(values)
    assert alone.low is not None
    assert interval.low is not None
    assert alone.low > interval.low + 3


def test_images_with_different_numbers_of_seeds_count_by_their_scores() -> None:
    assert mean_interval([1.0, 1.0, 4.0], ["a", "a", "b"]).mean == 2.0


@given(st.lists(NUMBERS, min_size=2, max_size=20))
def test_an_interval_lies_within_the_values_and_is_the_same_every_time(values: list[float]) -> None:
    interval = mean_interval(values)
    assert interval == mean_interval(values)
    assert interval.low is not None
    assert interval.high is not None
    slack = 1e-9
    assert min(values) - slack <= interval.low <= interval.high <= max(values) + slack


def test_one_image_has_a_mean_and_no_interval() -> None:
    interval = mean_interval([3.0])
    assert (interval.mean, interval.low, interval.high, interval.n) == (3.0, None, None, 1)
    assert mean_interval([3.0, 5.0], ["same", "same"]).low is None


def test_equal_values_have_an_interval_of_no_width() -> None:
    interval = mean_interval([1.0] * 8)
    assert (interval.low, interval.high) == (1.0, 1.0)


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")]])
def test_no_mean_of_nothing_or_of_what_is_not_finite(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        mean_interval(values)


def test_every_value_needs_its_unit() -> None:
    with pytest.raises(ValueError, match="2 values, but 1 units"):
        mean_interval([1.0, 2.0], ["a"])


def test_holm_on_an_example_worked_by_hand() -> None:
    """Sorted: 0.005 x 4 = 0.02, 0.01 x 3 = 0.03, 0.03 x 2 = 0.06, 0.04 x 1 = 0.04, which may not be below
    the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_is_between_p_and_bonferroni(values: list[float]) -> None:
    adjusted = holm(values)
    for p, q in zip(values, adjusted, strict=True):
        assert p <= q <= min(1.0, len(values) * p)
    ranked = [q for _, q in sorted(zip(values, adjusted, strict=True))]
    assert ranked == sorted(ranked)


def test_the_signed_rank_test_is_scipys_on_pairs() -> None:
    generator = random.Random(2)
    ours = [generator.gauss(21, 2) for _ in range(15)]
    theirs = [generator.gauss(20, 2) for _ in range(15)]
    test = signed_rank([a - b for a, b in zip(ours, theirs, strict=True)])
    assert test.p == pytest.approx(wilcoxon(ours, theirs).pvalue)
    assert test.note == ""


def test_six_differences_of_one_sign_have_the_least_p_there_is() -> None:
    assert signed_rank([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).p == pytest.approx(2 / 2**FEWEST_PAIRS)


def test_differences_of_zero_are_dropped() -> None:
    differences = [1.0, -2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert signed_rank([*differences, 0.0, 0.0]) == signed_rank(differences)


@pytest.mark.parametrize(
    ("differences", "note"),
    [
        ([], "no pairs"),
        ([0.0] * 10, "no difference"),
        ([1.0] * 5, "too few: 5 of at least 6 differing images"),
        ([0.0] * 9 + [1.0], "too few: 1 of at least 6 differing images"),
    ],
)
def test_where_no_test_can_be_made_the_note_says_why(differences: list[float], note: str) -> None:
    test = signed_rank(differences)
    assert (test.p, test.note) == (None, note)
