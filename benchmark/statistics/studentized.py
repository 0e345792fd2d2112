"""A mean in units of its own standard error: how certain it is, and whether it is zero.

The interval is the union of two: Student's t interval, which is right for normal values, and the
bootstrap-t interval (Efron, 1981; Hall, 1988), which follows skewed values. The test is the same, turned
around: zero is rejected at a level exactly if the interval at that level excludes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from scipy.stats import t

RESAMPLES = 1999
SEED = 0
# Resamples of few values reach less far than what they were drawn from. Below this many units the
# bootstrap's quantiles are therefore taken further out, by a factor that was found in simulation.
CALIBRATED_UNITS = 36
# Above this many units the two intervals are the same for all that is shown, and the t interval is taken.
MOST_RESAMPLED = 1000
# How much wider than Student's t the bootstrap may make a side. Where many values are nearly equal,
# resamples of these alone have no spread, and would make it so wide that methods 15 dB apart share a rank.
# In simulation, the bound for `MANY` units and more covers as much as wider ones; fewer need the other one.
WIDEST, WIDEST_OF_FEW, MANY = 2.5, 5.0, 8
# A spread below this share of the values' size is only rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Studentized:
    """Values by unit, whose mean is wanted.

    Attributes:
        sums: (n,), the sums of the values of every unit.
        counts: (n,), the number of values of each unit.
    """

    sums: Any
    counts: Any

    @property
    def n(self) -> int:
        """The number of units, at least two."""
        return len(self.sums)

    @cached_property
    def mean(self) -> float:
        """The mean over all values."""
        return float(self.sums.sum() / self.counts.sum())

    @cached_property
    def error(self) -> float:
        """The standard error of the mean; 0 if the units differ only by rounding."""
        residuals = self._residuals
        error = math.sqrt(float(residuals @ residuals) / (self.n - 1) / self.n)
        return error if error > ROUNDING * max(1.0, abs(self.mean)) else 0.0

    def ends(self, level: float) -> tuple[float, float]:
        """The interval at a level, such as 0.95."""
        if self.error == 0:
            return self.mean, self.mean
        student = float(t.ppf((1 + level) / 2, self.n - 1))
        below = above = student
        if self.n <= MOST_RESAMPLED:
            # Rounded down, so that the test below never says more than the interval.
            index = math.floor((1 - level) * self._per_level + 1e-9) - 1
            widest = self._widest * student
            below = min(widest, max(student, self._reach(-1 - index)))
            above = min(widest, max(student, -self._reach(index)))
        return self.mean - below * self.error, self.mean + above * self.error

    def p(self) -> float:
        """The p value of the two-sided test that the true mean is zero.

        It is one minus the level at which the interval just reaches zero. If all units have the same value,
        which is not zero, it is that of the exact sign test.
        """
        if self.mean == 0:
            return 1.0
        if self.error == 0:
            return 2.0 ** (1 - self.n)
        off = self.mean / self.error
        student = self._student(off)
        if self.n > MOST_RESAMPLED:
            return student
        # Zero lies on the side of the resamples that are as far above, or below, their own mean.
        deviations = self._deviations
        further = int((deviations >= off).sum() if off > 0 else (deviations <= off).sum())
        resampled = (further + 1) / self._per_level
        return min(1.0, max(student, min(resampled, self._student(off / self._widest))))

    @property
    def _widest(self) -> float:
        return WIDEST if self.n >= MANY else WIDEST_OF_FEW

    def _student(self, off: float) -> float:
        return float(2 * t.sf(abs(off), self.n - 1))

    @property
    def _per_level(self) -> float:
        """The number of resamples beyond one end of the interval, as a part of one minus its level."""
        return (RESAMPLES + 1) / 2 * min(1.0, math.sqrt(self.n / CALIBRATED_UNITS))

    def _reach(self, index: int) -> float:
        """A quantile; none is further out than the furthest resample."""
        return float(self._deviations[min(max(index, -RESAMPLES), RESAMPLES - 1)])

    @cached_property
    def _residuals(self) -> Any:
        # The mean of units of several sizes is a ratio; its error is that of these residuals, linearized.
        return (self.sums - self.mean * self.counts) / self.counts.mean()

    @cached_property
    def _deviations(self) -> Any:
        """The error of each resample's mean, in its own standard errors, in ascending order."""
        residuals, sizes = self._residuals, self.counts / self.counts.mean()
        weights = _weights(self.n)
        total = weights @ sizes
        off = (weights @ residuals) / total
        squares = (
            weights @ residuals**2
            - 2 * off * (weights @ (residuals * sizes))
            + off**2 * (weights @ sizes**2)
        )
        errors = np.sqrt(np.maximum(squares, 0) * self.n / (self.n - 1)) / total
        # A resample of equal values has no error, and lies far off.
        return np.sort(off / np.maximum(errors, ROUNDING * self.error))


@lru_cache(maxsize=8)
def _weights(n: int) -> Any:
    """How often each of n units is drawn in every resample: (RESAMPLES, n)."""
    generator = np.random.default_rng(SEED)
    return generator.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(float)
