"""Tests on paired differences: who is best, who cannot be told from it, and who shares which rank."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from scipy.stats import wilcoxon

from gifd_bench.benchmark.statistics.interval import LEVEL, Interval, mean_interval

# With fewer pairs that differ, the least two-sided p, 2 / 2^n, is above 0.05: no outcome would be evidence.
FEWEST_PAIRS = 6

# Scores of one method. A key is the unit, which is one private image, and what tells its several scores
# apart, for instance the seed.
Scores = Mapping[tuple[Hashable, Hashable], float]


@dataclass(frozen=True)
class SignedRank:
    """A Wilcoxon signed-rank test.

    Attributes:
        p: two-sided; `None` where no test was made.
        note: why there is none; empty otherwise.
    """

    p: float | None
    note: str = ""


@dataclass(frozen=True)
class Difference:
    """The scores of two methods on the same images: those of the first less those of the second.

    Attributes:
        interval: of the mean difference; `None` where no score has its partner.
        p: of the Wilcoxon signed-rank test; `None` where none was made, and the note says why.
        adjusted: `p` after Holm's correction over the family of tests that it belongs to.
    """

    interval: Interval | None
    p: float | None
    note: str
    adjusted: float | None = None

    @property
    def separates(self) -> bool:
        """Whether the two can be told apart at the level of the intervals."""
        return self.adjusted is not None and self.adjusted < 1 - LEVEL


@dataclass(frozen=True)
class Against:
    """A family of methods held against the best of them.

    Attributes:
        best: position of the method with the best mean.
        differences: position of every other method to the scores of the best less its own.
    """

    best: int
    differences: Mapping[int, Difference]

    @property
    def shared(self) -> frozenset[int]:
        """The positions of the best, and of all that the test cannot tell from it."""
        return frozenset({self.best, *(k for k, d in self.differences.items() if not d.separates)})


def mean_of(scores: Scores) -> Interval:
    """The mean of scores and its interval over the images."""
    return mean_interval(list(scores.values()), [unit for unit, _ in scores])


def against_best(methods: Sequence[Scores], sign: int, eligible: Sequence[bool] | None = None) -> Against:
    """Hold the methods against the best one, image by image.

    Args:
        methods: the scores of each, not empty.
        sign: 1 where more is better, -1 where less is.
        eligible: which of them may be the best; by default, and where none may, all.

    Returns:
        The differences, with Holm's correction over all the tests that were made.

    Raises:
        ValueError: no methods, or one without scores.
    """
    if eligible is None or not any(eligible):
        eligible = [True] * len(methods)
    candidates = [k for k in range(len(methods)) if eligible[k]]
    best = max(candidates, key=lambda k: sign * fmean(methods[k].values()))
    found = {k: difference(methods[best], other) for k, other in enumerate(methods) if k != best}
    return Against(best, dict(zip(found, adjusted(list(found.values())), strict=True)))


def shared_ranks(methods: Sequence[Scores], sign: int) -> list[int]:
    """A rank for each method; those that cannot be told apart from the best of them share it.

    The best mean has rank 1, and shares it with every method that the paired test, corrected by Holm over
    the comparisons with the best, cannot tell from it. The best of the remaining ones has the next rank,
    1 + the number of methods before it, and shares it likewise, and so on.

    Args:
        methods: the scores of each, not empty.
        sign: 1 where more is better, -1 where less is.
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


def difference(first: Scores, second: Scores) -> Difference:
    """The first's scores less the second's; several differences of one image are averaged, because they are
    no images more."""
    both = [key for key in first if key in second]
    by_unit: dict[Hashable, list[float]] = {}
    for key in both:
        by_unit.setdefault(key[0], []).append(first[key] - second[key])
    differences = [fmean(values) for values in by_unit.values()]
    test = signed_rank(differences)
    interval = mean_interval(differences) if differences else None
    return Difference(interval, test.p, test.note)


def adjusted(differences: Sequence[Difference]) -> list[Difference]:
    """The same with Holm's correction over all of their tests."""
    tested = [k for k, found in enumerate(differences) if found.p is not None]
    corrected = dict(zip(tested, holm([differences[k].p or 0.0 for k in tested]), strict=True))
    return [replace(found, adjusted=corrected.get(k)) for k, found in enumerate(differences)]


def signed_rank(differences: Sequence[float]) -> SignedRank:
    """Is the median of paired differences zero? (Wilcoxon, 1945; differences of zero are dropped.)"""
    nonzero = [difference for difference in differences if difference != 0]
    if not nonzero:
        return SignedRank(None, "no difference" if differences else "no pairs")
    if len(nonzero) < FEWEST_PAIRS:
        return SignedRank(None, f"too few: {len(nonzero)} of at least {FEWEST_PAIRS} differing images")
    return SignedRank(float(wilcoxon(nonzero).pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values of a family of tests, in their order, adjusted to its family-wise error (Holm, 1979)."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
