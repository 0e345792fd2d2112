"""Means with confidence intervals that cover what they say, from six images on."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.stats import binomtest, t

LEVEL = 0.95
# Below it there is no interval: so few values say too little of how they are spread.
FEWEST_UNITS = 6
RESAMPLES = 1999
SEED = 0
# Resamples of few values reach less far than what they were drawn from. Below this many units the
# bootstrap's quantiles are therefore taken further out, by a factor that was found in simulation.
CALIBRATED_UNITS = 36
# Above this many units the two intervals are the same for all that is shown, and the t interval is taken.
MOST_RESAMPLED = 1000
# How much wider than Student's t the bootstrap may make a side. Where nearly all values are equal, most
# resamples have no spread at all, and would make it as wide as one likes.
WIDEST = 5.0
# Spread below this part of the values' size is rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Interval:
    """A mean and how far it can be trusted.

    Attributes:
        low, high: ends of the confidence interval; `None` where there are fewer than `FEWEST_UNITS` units.
        n: how many units the mean is over.
    """

    mean: float
    low: float | None
    high: float | None
    n: int


def mean_interval(values: Sequence[float], units: Sequence[Hashable] | None = None) -> Interval:
    """The mean of values and its confidence interval at `LEVEL`.

    The interval reaches from the lower to the upper of the ends of two: Student's t interval, which is
    right for values that are spread normally, and the bootstrap-t interval (Efron, 1981; Hall, 1988), which
    follows skewed ones. In simulation the two together cover the true mean in at least 93 % of samples of
    6, 12 and 48 values of normal, exponential, chi-square and log-normal distributions. Shares of units
    that are each wholly 0 or 1, such as labels that are right, get Wilson's interval (1927), for equal
    values do not make a share certain.

    What is drawn again is the unit, with all of its values: the scores of one image under several seeds
    are no independent sample of images. The same values always give the same interval.

    Args:
        values: at least one finite number.
        units: what each value belongs to; by default each is its own unit.

    Raises:
        ValueError: no values, one that is not finite, or not one unit a value.
    """
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("finite numbers are needed, at least one")
    if units is not None and len(units) != len(values):
        raise ValueError(f"{len(values)} values, but {len(units)} units")
    sums, counts = _by_unit(values, units if units is not None else range(len(values)))
    mean, n = float(sums.sum() / counts.sum()), len(sums)
    if n < FEWEST_UNITS:
        return Interval(mean, None, None, n)
    low, high = _share(sums, counts) or _ends(sums, counts, mean)
    return Interval(mean, min(low, mean), max(high, mean), n)


def _by_unit(values: Sequence[float], units: Sequence[Hashable]) -> tuple[Any, Any]:
    """Sum and number of the values of every unit."""
    position = {unit: k for k, unit in enumerate(dict.fromkeys(units))}
    indices = np.fromiter((position[unit] for unit in units), dtype=np.intp, count=len(units))
    return np.bincount(indices, weights=np.asarray(values, dtype=float)), np.bincount(indices)


def _share(sums: Any, counts: Any) -> tuple[float, float] | None:
    """Wilson's interval where every unit is wholly 0 or 1 and all have the same number of values."""
    if len(set(counts)) > 1 or not np.isin(sums / counts, (0.0, 1.0)).all():
        return None
    return _wilson(round(float((sums / counts).sum())), len(sums))


@lru_cache(maxsize=1024)
def _wilson(ones: int, n: int) -> tuple[float, float]:
    ends = binomtest(ones, n).proportion_ci(LEVEL, method="wilson")
    return float(ends.low), float(ends.high)


def _ends(sums: Any, counts: Any, mean: float) -> tuple[float, float]:
    n = len(sums)
    # The mean of units of several sizes is a ratio; its error is that of these residuals, linearized.
    residuals = (sums - mean * counts) / counts.mean()
    error = math.sqrt(float(residuals @ residuals) / (n - 1) / n)
    if error <= ROUNDING * max(1.0, abs(mean)):
        return mean, mean
    student = float(t.ppf((1 + LEVEL) / 2, n - 1))
    if n > MOST_RESAMPLED:
        return mean - student * error, mean + student * error
    outside = (1 - LEVEL) * min(1.0, math.sqrt(n / CALIBRATED_UNITS))
    deviations = _studentized(residuals, counts / counts.mean(), error)
    index = round((RESAMPLES + 1) * outside / 2) - 1
    widest = WIDEST * student
    below = min(widest, max(student, float(deviations[-1 - index])))
    above = min(widest, max(student, -float(deviations[index])))
    return mean - below * error, mean + above * error


def _studentized(residuals: Any, sizes: Any, error: float) -> Any:
    """By how many of its own standard errors each resample's mean is off, in ascending order."""
    n = len(residuals)
    weights = _weights(n)
    total = weights @ sizes
    off = (weights @ residuals) / total
    squares = (
        weights @ residuals**2 - 2 * off * (weights @ (residuals * sizes)) + off**2 * (weights @ sizes**2)
    )
    errors = np.sqrt(np.maximum(squares, 0) * n / (n - 1)) / total
    # A resample of equal values has no error, and lies far off.
    return np.sort(off / np.maximum(errors, ROUNDING * error))


@lru_cache(maxsize=8)
def _weights(n: int) -> Any:
    """How often each of n units is drawn in every resample: (RESAMPLES, n)."""
    generator = np.random.default_rng(SEED)
    return generator.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(float)
