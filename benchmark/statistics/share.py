"""Shares of units, and the difference of two shares of the same units."""

from __future__ import annotations

import math
from functools import lru_cache

from scipy.optimize import brentq
from scipy.stats import binomtest, norm


@lru_cache(maxsize=1024)
def share_ends(ones: int, n: int, level: float) -> tuple[float, float]:
    """Wilson's interval (1927) of a share, in [0, 1]."""
    ends = binomtest(ones, n).proportion_ci(level, method="wilson")
    return float(ends.low), float(ends.high)


@lru_cache(maxsize=1024)
def difference_p(gained: int, lost: int) -> float:
    """The p value of the two-sided test that two shares of the same units are equal.

    It is the larger of McNemar's (1947) and of that of the exact sign test; McNemar's is somewhat too small
    for few units.

    Args:
        gained: units that are 1 in the first share and 0 in the second.
        lost: units that are 0 in the first and 1 in the second.
    """
    differ = gained + lost
    if not differ:
        return 1.0
    score = float(2 * norm.sf(abs(gained - lost) / math.sqrt(differ)))
    return max(score, float(binomtest(gained, differ).pvalue))


@lru_cache(maxsize=1024)
def difference_ends(gained: int, lost: int, n: int, level: float) -> tuple[float, float]:
    """The interval of the difference of two shares of the same units, in [-1, 1].

    It is the union of two intervals: Tango's score interval (1998), which belongs to McNemar's test, and,
    for the units that differ, that of Clopper and Pearson (1934), which belongs to the exact test. It
    excludes zero exactly if `difference_p` is below one minus the level.

    Args:
        gained: units that are 1 in the first share and 0 in the second.
        lost: units that are 0 in the first and 1 in the second.
        n: the number of all units.
        level: such as 0.95.
    """
    low, high = -_tango_high(lost, gained, n, level), _tango_high(gained, lost, n, level)
    differ = gained + lost
    if differ:
        exact = binomtest(gained, differ).proportion_ci(level, method="exact")
        low = min(low, (2 * float(exact.low) - 1) * differ / n)
        high = max(high, (2 * float(exact.high) - 1) * differ / n)
    return max(low, -1.0), min(high, 1.0)


def _tango_high(gained: int, lost: int, n: int, level: float) -> float:
    """The largest difference that the score test does not reject."""
    most = float(norm.ppf((1 + level) / 2))

    def off(difference: float) -> float:
        """How much further the found difference lies below this one than the test allows."""
        # The likeliest share of the units that are lost, where the true difference is this one.
        b = (2 * n - gained + lost) * difference - gained - lost
        c = -lost * difference * (1 - difference)
        share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        spread = n * max(2 * share + difference * (1 - difference), 0.0)
        return n * difference - (gained - lost) - most * math.sqrt(spread)

    # At the found difference itself nothing is off, and without any unit that differs there is no spread.
    found = (gained - lost) / n
    start = found + 1e-9
    return float(brentq(off, start, 1.0)) if start < 1 and off(start) < 0 else found
