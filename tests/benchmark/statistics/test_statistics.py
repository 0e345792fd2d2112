"""Intervals and tests against slow references and known values."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_rel, wilcoxon

from gifd_bench.benchmark.statistics.interval import FEWEST_UNITS, Interval, mean_interval
from gifd_bench.benchmark.statistics.paired import (
    Difference,
    Scores,
    against_best,
    difference,
    holm,
    shared_ranks,
)
from gifd_bench.benchmark.statistics.share import difference_ends, difference_p

NUMBERS = st.floats(-100, 100, allow_nan=False)


def slow_interval(units: list[list[float]], draws: int = 8000) -> tuple[float, float]:
    """Hull of the t and the bootstrap-t interval of the mean of units of equal size, in plain Python."""
    generator = random.Random(1)
    means = [fmean(unit) for unit in units]
    n, center, error = len(means), fmean(means), stdev(means) / math.sqrt(len(means))
    studentized = []
    for _ in range(draws):
        drawn = [means[generator.randrange(n)] for _ in range(n)]
        own = stdev(drawn) / math.sqrt(n)
        off = fmean(drawn) - center
        studentized.append(off / own if own > 0 else math.copysign(math.inf, off))
    studentized.sort()
    outside = 0.05 * min(1.0, math.sqrt(n / 36))
    lowest = studentized[int(outside / 2 * draws)]
    highest = studentized[int((1 - outside / 2) * draws)]
    student = float(t.ppf(0.975, n - 1))
    return center - max(student, highest) * error, center + max(student, -lowest) * error


@pytest.mark.slow
@pytest.mark.parametrize("n", [7, 12, 50])
def test_an_interval_agrees_with_a_bootstrap_t_in_plain_python(n: int) -> None:
    generator = random.Random(n)
    values = [generator.expovariate(0.2) for _ in range(n)]
    interval = mean_interval(values)
    low, high = slow_interval([[value] for value in values])
    assert interval.mean == pytest.approx(fmean(values))
    assert interval.n == n
    width = high - low
    assert interval.low == pytest.approx(low, abs=0.1 * width)
    assert interval.high == pytest.approx(high, abs=0.1 * width)


def test_the_values_of_one_image_are_resampled_together() -> None:
    """Five seeds of eight images are no forty images: the interval is as wide as that of eight."""
    images = [10.0, 20.0, 30.0, 40.0, 15.0, 25.0, 35.0, 12.0]
    values = [image + 0.1 * seed for image in images for seed in range(5)]
    units = [k for k in range(8) for _ in range(5)]
    interval = mean_interval(values, units)
    assert interval.n == 8
    low, high = slow_interval([values[5 * k : 5 * k + 5] for k in range(8)])
    assert interval.low == pytest.approx(low, abs=1.5)
    assert interval.high == pytest.approx(high, abs=1.5)
    alone = mean_interval(values)
    assert alone.low is not None
    assert interval.low is not None
    assert alone.low > interval.low + 3


def normal(generator: Any, size: tuple[int, int]) -> Any:
    return generator.normal(size=size)


def exponential(generator: Any, size: tuple[int, int]) -> Any:
    return generator.exponential(size=size) - 1


def chi_square(generator: Any, size: tuple[int, int]) -> Any:
    return generator.chisquare(1, size=size) - 1


def left_skewed(generator: Any, size: tuple[int, int]) -> Any:
    """As SSIM is near its upper end."""
    return 5 / 7 - generator.beta(5, 2, size=size)


def log_normal(generator: Any, size: tuple[int, int]) -> Any:
    return generator.lognormal(size=size) - math.exp(0.5)


def test_methods_far_apart_are_told_apart_however_alike_their_differences_are() -> None:
    """PSNR of ten photographs under DLG and under GGL, in dB."""
    dlg = [34.0, 38.7, 30.2, 28.9, 36.5, 37.5, 29.5, 24.9, 38.3, 37.1]
    ggl = [11.7, 18.7, 15.0, 19.1, 14.2, 15.5, 15.0, 23.5, 15.1, 15.3]
    third = [value - 0.1 for value in dlg]
    methods: list[Scores] = [
        {(k, 0): value for k, value in enumerate(scores)} for scores in (dlg, ggl, third)
    ]
    assert shared_ranks(methods, 1)[1] == 3


@pytest.mark.slow
@pytest.mark.parametrize("draw", [normal, exponential, chi_square, left_skewed, log_normal])
@pytest.mark.parametrize("n", [6, 8, 12, 48])
def test_an_interval_covers_the_true_mean_as_often_as_it_says(
    n: int, draw: Callable[[Any, tuple[int, int]], Any]
) -> None:
    """At least 93 % of 2,000 samples, for the true mean 0 of each distribution."""
    samples = draw(np.random.default_rng(n), (2000, n))
    intervals = [mean_interval(list(sample)) for sample in samples]
    covered = sum((i.low or 0.0) <= 0 <= (i.high or 0.0) for i in intervals) / len(intervals)
    assert 0.93 <= covered <= 0.995


@pytest.mark.parametrize("n", [6, 12, 48])
def test_the_interval_of_a_share_covers_it(n: int) -> None:
    for share in (0.1, 0.5, 0.9):
        samples = np.random.default_rng(n).random((1000, n)) < share
        intervals = [mean_interval([float(value) for value in sample]) for sample in samples]
        covered = sum((i.low or 0.0) <= share <= (i.high or 0.0) for i in intervals) / len(intervals)
        assert covered >= 0.88


def test_there_is_no_interval_over_fewer_than_six_images() -> None:
    values = [20.0, 22.0, 21.0, 25.0, 19.0]
    for n in range(1, FEWEST_UNITS):
        interval = mean_interval(values[:n])
        assert (interval.low, interval.high, interval.n) == (None, None, n)
        assert interval.mean == pytest.approx(fmean(values[:n]))
    assert mean_interval([*values, 23.0]).low is not None


def test_all_labels_right_does_not_make_it_certain() -> None:
    interval = mean_interval([1.0] * 12)
    assert (interval.mean, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(0.7575, abs=1e-3)  # Wilson's, from tables


def test_images_with_different_numbers_of_seeds_count_by_their_scores() -> None:
    assert mean_interval([1.0, 1.0, 4.0], ["a", "a", "b"]).mean == 2.0


@given(
    st.lists(NUMBERS, min_size=FEWEST_UNITS, max_size=20),
    st.floats(-50, 50),
    st.floats(0.5, 4),
)
def test_an_interval_holds_its_mean_and_moves_and_stretches_with_the_values(
    values: list[float], offset: float, scale: float
) -> None:
    # Away from 0 and 1, which are shares.
    values = [200.0 + value for value in values]
    interval = mean_interval(values)
    assert interval == mean_interval(values)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low <= interval.mean <= interval.high
    moved = mean_interval([offset + scale * value for value in values])
    slack = 1e-6 * (1 + abs(interval.low) + abs(interval.high)) * scale
    assert moved.low == pytest.approx(offset + scale * interval.low, abs=slack)
    assert moved.high == pytest.approx(offset + scale * interval.high, abs=slack)


def test_one_image_has_a_mean_and_no_interval() -> None:
    interval = mean_interval([3.0])
    assert (interval.mean, interval.low, interval.high, interval.n) == (3.0, None, None, 1)
    assert mean_interval([3.0, 5.0] * 4, ["same", "same"] * 4).low is None


def test_one_value_apart_from_equal_ones_has_an_interval_of_a_sensible_width() -> None:
    """Most resamples of these have no spread at all."""
    interval = mean_interval([20.0] * 7 + [28.0])
    assert interval.low is not None
    assert interval.high is not None
    assert 17 < interval.low < 21 < interval.high < 36


def test_equal_values_have_an_interval_of_no_width() -> None:
    interval = mean_interval([3.25] * 8)
    assert (interval.low, interval.high) == (3.25, 3.25)


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


def differences_of(values: Sequence[float]) -> Difference:
    return difference(scores(values), scores([0.0] * len(values)))


def leaves_zero_out(interval: Interval | None) -> bool:
    assert interval is not None
    assert interval.low is not None
    assert interval.high is not None
    return interval.low > 0 or interval.high < 0


SKEWED = st.lists(st.floats(-3, 3).map(lambda x: math.exp(x) - 0.7), min_size=6, max_size=20)


@given(st.one_of(SKEWED, st.lists(NUMBERS, min_size=6, max_size=20)))
# Of nine values, a whole number of resamples lies beyond the end, and p is 0.05.
@example([0.3, 0.94872127, -0.33212056, -0.33212056, 6.68905609, 8.78773584, 8.78773584, 0.3, 3.78168907])
def test_p_is_at_most_five_percent_where_the_interval_leaves_zero_out(values: list[float]) -> None:
    found = differences_of(values)
    if found.p is not None:
        assert (found.p <= 0.05) == leaves_zero_out(found.interval)


def test_one_image_far_ahead_of_many_that_are_equal_does_not_contradict_its_interval() -> None:
    """Wilcoxon's test has p = 0.016 here, which the mean of these differences does not bear out."""
    values = [0.1, 0.2, 0.1, 0.3, 0.2, 0.1, 40.0]
    assert wilcoxon(values).pvalue < 0.05
    found = differences_of(values)
    assert not leaves_zero_out(found.interval)
    assert found.p is not None
    assert found.p > 0.05


def test_p_is_never_below_that_of_scipys_paired_t_test_and_is_the_same_over_many_images() -> None:
    generator = np.random.default_rng(2)
    for n in (8, 30, 1500):
        ours, theirs = generator.normal(20.8, 2, n).tolist(), generator.normal(20, 2, n).tolist()
        expected = float(ttest_rel(ours, theirs).pvalue)
        p = difference(scores(ours), scores(theirs)).p
        assert p is not None
        assert p >= expected * (1 - 1e-9)
        assert n < 1000 or p == pytest.approx(expected)


def test_equal_differences_have_the_p_of_their_signs() -> None:
    assert differences_of([0.5] * 6).p == pytest.approx(2 / 2**6)


@pytest.mark.parametrize(
    ("differences", "note"),
    [
        ([], "no pairs"),
        ([0.0] * 10, "no difference"),
        ([1.0] * 5, "too few: 5 of at least 6 images"),
    ],
)
def test_where_no_test_can_be_made_the_note_says_why(differences: list[float], note: str) -> None:
    found = differences_of(differences)
    assert (found.p, found.note) == (None, note)


COUNTS = [(gained, lost, n) for n in (6, 12, 40) for gained in range(0, n, 3) for lost in range(n - gained)]


def slow_score(gained: int, lost: int, n: int, true: float) -> float:
    """By how many standard errors the difference of two shares is off; the likeliest share by search."""
    shares = np.linspace(max(0.0, -true), (1 - true) / 2, 20001)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = (
            gained * np.log(shares + true)
            + lost * np.log(shares)
            + (n - gained - lost) * np.log(1 - 2 * shares - true)
        )
    likeliest = shares[np.nanargmax(np.where(np.isnan(chance), -np.inf, chance))]
    return (gained - lost - n * true) / math.sqrt(n * (2 * likeliest + true * (1 - true)))


@pytest.mark.parametrize(("gained", "lost", "n"), [(5, 2, 12), (9, 0, 40), (1, 4, 20)])
def test_the_interval_of_a_difference_of_shares_holds_what_the_score_test_allows(
    gained: int, lost: int, n: int
) -> None:
    low, high = difference_ends(gained, lost, n, 0.95)
    found = np.linspace(-0.99, 0.99, 397)
    allowed = [true for true in found if abs(slow_score(gained, lost, n, true)) <= 1.96]
    assert low <= min(allowed) + 0.01
    assert high >= max(allowed) - 0.01
    # The exact interval of the images that differ reaches a little further, on one side or on both.
    assert min(allowed) - low < 0.15
    assert high - max(allowed) < 0.15


@pytest.mark.parametrize(("gained", "lost", "n"), COUNTS)
def test_shares_are_told_apart_where_the_interval_of_their_difference_leaves_zero_out(
    gained: int, lost: int, n: int
) -> None:
    low, high = difference_ends(gained, lost, n, 0.95)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert (difference_p(gained, lost) < 0.05) == (low > 0 or high < 0)
    assert (-high, -low) == pytest.approx(difference_ends(lost, gained, n, 0.95))


@pytest.mark.parametrize("n", [6, 12, 48])
@pytest.mark.parametrize("shares", [(0.5, 0.1), (0.1, 0.1), (0.3, 0.3), (0.8, 0.0), (0.02, 0.0)])
def test_the_interval_of_a_difference_of_shares_covers_it(n: int, shares: tuple[float, float]) -> None:
    gained, lost = shares
    drawn = np.random.default_rng(n).multinomial(n, [gained, lost, 1 - gained - lost], size=2000)
    ends = [difference_ends(int(one[0]), int(one[1]), n, 0.95) for one in drawn]
    assert sum(low <= gained - lost <= high for low, high in ends) / len(ends) >= 0.93


def test_identification_of_the_same_images_is_compared_as_shares() -> None:
    first, second = scores([1.0] * 9 + [0.0] * 3), scores([0.0] * 8 + [1.0] + [0.0] * 3)
    found = difference(first, second, (0.0, 1.0))
    assert found.p == difference_p(8, 0)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == difference_ends(8, 0, 12, 0.95)


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=12), st.lists(st.floats(-1, 1), min_size=12))
def test_an_interval_stays_within_what_there_can_be(ours: list[float], theirs: list[float]) -> None:
    alone = mean_interval(ours, within=(-1.0, 1.0))
    paired = difference(scores(ours), scores(theirs), (-1.0, 1.0)).interval
    assert paired is not None
    for interval, most in ((alone, 1), (paired, 2)):
        assert interval.low is not None
        assert interval.high is not None
        assert -most <= interval.low <= interval.mean <= interval.high <= most


def test_nearly_perfect_similarities_have_an_interval_that_ends_at_one() -> None:
    values = [0.99, 0.98, 0.2, 0.99, 0.97, 0.99]
    assert (mean_interval(values).high or 0) > 1
    assert mean_interval(values, within=(-1.0, 1.0)).high == 1.0


def scores(values: Sequence[float]) -> Scores:
    return {(image, 0): value for image, value in enumerate(values)}


BEST = [30.0, 25.0, 35.0, 28.0, 24.0, 31.0, 27.0, 33.0]
# Whom the test cannot tell from it: as often ahead as behind.
NEAR = [b + d for b, d in zip(BEST, (-3, 1, 1, -2, 2, -1, 1, -1.5), strict=True)]


def test_a_small_difference_that_is_the_same_on_every_image_is_told_apart() -> None:
    """The two intervals overlap widely; the differences all have one sign."""
    assert shared_ranks([scores(BEST), scores([value - 0.1 for value in BEST])], 1) == [1, 2]


def test_whoever_cannot_be_told_from_the_best_shares_its_rank() -> None:
    worse = [value - 5 for value in BEST]
    assert shared_ranks([scores(worse), scores(NEAR), scores(BEST)], 1) == [3, 1, 1]
    found = against_best([scores(worse), scores(NEAR), scores(BEST)], 1)
    assert (found.best, found.shared) == (2, frozenset({1, 2}))
    assert found.differences[0].adjusted == pytest.approx(2 * 2 / 2**8)


def test_many_comparisons_need_more_evidence() -> None:
    """Six images of one sign are enough for one comparison, p = 0.031, and not for two."""
    best, worse = BEST[:6], [value - 1 for value in BEST[:6]]
    assert shared_ranks([scores(best), scores(worse)], 1) == [1, 2]
    assert shared_ranks([scores(best), scores(worse), scores(worse)], 1) == [1, 1, 1]


def test_where_less_is_better_the_least_is_first() -> None:
    least = [0.01 * (k + 1) for k in range(8)]
    more = [[value + d * 0.2 for value in least] for d in (1, 2)]
    assert shared_ranks([scores(more[1]), scores(least), scores(more[0])], -1) == [3, 1, 2]


def test_with_few_images_nothing_is_told_apart() -> None:
    assert shared_ranks([scores([1.0, 1.5]), scores([30.0, 31.0])], 1) == [1, 1]
    assert shared_ranks([], 1) == []


def test_seeds_of_an_image_are_one_pair() -> None:
    first: Scores = {(image, seed): 10.0 + image + seed for image in range(4) for seed in range(5)}
    second: Scores = {key: value - 1 for key, value in first.items() if key != (0, 3)}
    found = difference(first, second)
    assert found.interval is not None
    assert found.interval.n == 4
    assert found.interval.mean == pytest.approx(1.0)
    assert found.note == "too few: 4 of at least 6 images"


def test_one_that_may_not_be_best_is_compared_with_the_one_that_is() -> None:
    found = against_best([scores(BEST), scores([value + 9 for value in BEST])], 1, [True, False])
    assert found.best == 0
    assert found.differences[1].interval is not None
    assert found.differences[1].interval.mean == pytest.approx(-9)


METHODS = st.lists(st.lists(st.integers(0, 40), min_size=7, max_size=7), min_size=1, max_size=5)


@pytest.mark.slow
@settings(max_examples=20)
@given(METHODS)
def test_ranks_follow_the_rule(values: list[list[int]]) -> None:
    methods = [scores([float(v) for v in own]) for own in values]
    ranks = shared_ranks(methods, 1)
    assert min(ranks) == 1
    for rank in ranks:
        assert rank == 1 + sum(other < rank for other in ranks)
    # The rule once more, written out for the first rank: the best mean, and whom Holm's test leaves.
    means = [fmean(own) for own in values]
    best = max(range(len(values)), key=means.__getitem__)
    left = {best}
    tested: dict[int, float] = {}
    for k in set(range(len(values))) - {best}:
        p = difference(methods[best], methods[k]).p
        if p is None:
            left.add(k)
        else:
            tested[k] = p
    pending = sorted(tested, key=tested.__getitem__)
    while pending and tested[pending[0]] * len(pending) < 0.05:
        pending.pop(0)
    assert {k for k, rank in enumerate(ranks) if rank == 1} == left | set(pending)
    assert shared_ranks([{key: -v for key, v in m.items()} for m in methods], -1) == ranks
