"""Tests on paired differences: which method is best, which cannot be told from it, and shared ranks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from gifd_bench.benchmark.statistics.interval import (
    ANY,
    FEWEST_UNITS,
    LEVEL,
    Interval,
    Range,
    bounded,
    mean_interval,
)
from gifd_bench.benchmark.statistics.share import difference_ends, difference_p
from gifd_bench.benchmark.statistics.studentized import Studentized

# Scores of one method. A key is the unit, which is one private image, and what tells its several scores
# apart, for instance the seed.
Scores = Mapping[tuple[Hashable, Hashable], float]


@dataclass(frozen=True)
class Difference:
    """The scores of two methods on the same images: those of the first minus those of the second.

    Attributes:
        interval: the interval of the mean difference; `None` if no score has a partner.
        p: the p value of the two-sided test that belongs to the interval. It is at most one minus the level
            exactly if the interval excludes zero. `None` if no test was made; the note says why.
        adjusted: `p` after Holm's correction over the family of tests to which it belongs.
    """

    interval: Interval | None
    p: float | None
    note: str
    adjusted: float | None = None

    @property
    def separates(self) -> bool:
        """Whether the two can be told apart at the level of the intervals."""
        return self.adjusted is not None and self.adjusted <= 1 - LEVEL


@dataclass(frozen=True)
class Against:
    """A family of methods, compared with the best of them.

    Attributes:
        best: position of the method with the best mean.
        differences: by the position of every other method, the scores of the best minus its own.
    """

    best: int
    differences: Mapping[int, Difference]

    @property
    def shared(self) -> frozenset[int]:
        """The positions of the best, and of all methods that the test cannot tell from it."""
        return frozenset({self.best, *(k for k, d in self.differences.items() if not d.separates)})


def mean_of(scores: Scores, within: Range = ANY) -> Interval:
    """The mean of scores and its interval over the images, as in `mean_interval`."""
    return mean_interval(list(scores.values()), [unit for unit, _ in scores], within)


def against_best(
    methods: Sequence[Scores],
    sign: int,
    eligible: Sequence[bool] | None = None,
    within: Range = ANY,
) -> Against:
    """Compare the methods with the best one, image by image.

    Args:
        methods: the scores of each method, not empty.
        sign: 1 if more is better, -1 if less is.
        eligible: which of them may be the best; by default all, and also if none may.
        within: the least and the largest possible score.

    Returns:
        The differences, with Holm's correction over all the tests that were made.

    Raises:
        ValueError: there are no methods, or one has no scores.
    """
    if eligible is None or not any(eligible):
        eligible = [True] * len(methods)
    candidates = [k for k in range(len(methods)) if eligible[k]]
    best = max(candidates, key=lambda k: sign * fmean(methods[k].values()))
    found = {k: difference(methods[best], other, within) for k, other in enumerate(methods) if k != best}
    return Against(best, dict(zip(found, adjusted(list(found.values())), strict=True)))


def shared_ranks(methods: Sequence[Scores], sign: int) -> list[int]:
    """A rank for each method; methods that cannot be told from the best of them share it.

    The best mean has rank 1. It shares this rank with every method that the paired test, corrected by Holm
    over the comparisons with the best, cannot tell from it. The best of the remaining methods has the next
    rank, 1 + the number of methods before it, and shares it in the same way, and so on.

    Args:
        methods: the scores of each method, not empty.
        sign: 1 if more is better, -1 if less is.
    """
    ranks = [0] * len(methods)
    left = list(range(len(methods)))
    while left:
        first = len(methods) - len(left) + 1
        together = {left[k] for k in against_best([methods[k] for k in left], sign).shared}
        for k in together:
            ranks[k] = first
        left = [k for k in left if k not in together]
    return ranks


def difference(first: Scores, second: Scores, within: Range = ANY) -> Difference:
    """The scores of the first method minus those of the second.

    Several differences of one image are averaged, because they are not further images. Interval and test
    are those of the mean of the differences (see `Studentized`) or, if every score is 0 or 1, those of the
    difference of two shares of the same images (see `difference_ends`).

    Args:
        first: the scores of a method; those without a partner are left out.
        second: the scores of another method, likewise.
        within: the least and the largest possible score.
    """
    by_unit: dict[Hashable, list[float]] = {}
    for key in first:
        if key in second:
            by_unit.setdefault(key[0], []).append(first[key] - second[key])
    differences = [fmean(values) for values in by_unit.values()]
    n = len(differences)
    if not n:
        return Difference(None, None, "no pairs")
    mean = fmean(differences)
    if n < FEWEST_UNITS:
        return Difference(
            Interval(mean, None, None, n), None, f"too few: {n} of at least {FEWEST_UNITS} images"
        )
    reach = within[1] - within[0]
    if {*first.values(), *second.values()} <= {0.0, 1.0} and set(differences) <= {-1.0, 0.0, 1.0}:
        gained, lost = differences.count(1.0), differences.count(-1.0)
        ends, p = difference_ends(gained, lost, n, LEVEL), difference_p(gained, lost)
    else:
        studentized = Studentized(np.asarray(differences), np.ones(n))
        ends, p = studentized.ends(LEVEL), studentized.p()
    interval = bounded(mean, ends, n, (-reach, reach))
    return Difference(interval, p, "") if any(differences) else Difference(interval, None, "no difference")


def adjusted(differences: Sequence[Difference]) -> list[Difference]:
    """The same differences with Holm's correction over all of their tests."""
    tested = [k for k, found in enumerate(differences) if found.p is not None]
    corrected = dict(zip(tested, holm([differences[k].p or 0.0 for k in tested]), strict=True))
    return [replace(found, adjusted=corrected.get(k)) for k, found in enumerate(differences)]


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values of a family of tests, in their order, adjusted to its family-wise error (Holm, 1979)."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
