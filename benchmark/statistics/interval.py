"""Means with confidence intervals that have their stated coverage, from six images on."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gifd_bench.benchmark.statistics.share import share_ends
from gifd_bench.benchmark.statistics.studentized import Studentized

LEVEL = 0.95
# With fewer units there is no interval, because they say too little about how values are spread.
FEWEST_UNITS = 6
# The least and the largest value that there can be.
Range = tuple[float, float]
ANY: Range = (-math.inf, math.inf)


@dataclass(frozen=True)
class Interval:
    """A mean, and how certain it is.

    Attributes:
        low, high: ends of the confidence interval; `None` for fewer than `FEWEST_UNITS` units.
        n: the number of units that the mean covers.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    def ends(self, form: str) -> str:
        """The ends in brackets, after a space, as they follow a mean; empty if there are none.

        Args:
            form: how a number is written, such as `.2f`.
        """
        return "" if self.low is None or self.high is None else f" [{self.low:{form}}, {self.high:{form}}]"


def mean_interval(
    values: Sequence[float], units: Sequence[Hashable] | None = None, within: Range = ANY
) -> Interval:
    """The mean of values, and its confidence interval at `LEVEL`.

    The interval is that of Student's t and of the bootstrap-t together (see `Studentized`). In simulation
    it covers the true mean in at least 93 % of samples of 6, 12 and 48 values of normal, exponential,
    chi-square and log-normal distributions. Shares of units that are each wholly 0 or 1, such as correct
    labels, get Wilson's interval, because equal values do not make a share certain.

    Units are resampled with all of their values, because the scores of one image under several seeds are
    not independent samples of images. The same values always give the same interval.

    Args:
        values: at least one finite number.
        units: the unit to which each value belongs; by default, each value is its own unit.
        within: the least and the largest possible mean; the interval ends there.

    Raises:
        ValueError: there are no values, one is not finite, or the number of units is not that of values.
    """
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("finite numbers are needed, at least one")
    if units is not None and len(units) != len(values):
        raise ValueError(f"{len(values)} values, but {len(units)} units")
    sums, counts = _by_unit(values, units if units is not None else range(len(values)))
    studentized = Studentized(sums, counts)
    if studentized.n < FEWEST_UNITS:
        return Interval(studentized.mean, None, None, studentized.n)
    low, high = _share(sums, counts) or studentized.ends(LEVEL)
    return bounded(studentized.mean, (low, high), studentized.n, within)


def bounded(mean: float, ends: tuple[float, float], n: int, within: Range) -> Interval:
    """An interval that contains its mean and lies within a range."""
    low, high = ends
    return Interval(mean, min(max(low, within[0]), mean), max(min(high, within[1]), mean), n)


def _by_unit(values: Sequence[float], units: Sequence[Hashable]) -> tuple[Any, Any]:
    """The sum and the number of the values of every unit."""
    position = {unit: k for k, unit in enumerate(dict.fromkeys(units))}
    indices = np.fromiter((position[unit] for unit in units), dtype=np.intp, count=len(units))
    return np.bincount(indices, weights=np.asarray(values, dtype=float)), np.bincount(indices)


def _share(sums: Any, counts: Any) -> tuple[float, float] | None:
    """Wilson's interval if every unit is wholly 0 or 1, and all have the same number of values."""
    if len(set(counts)) > 1 or not np.isin(sums / counts, (0.0, 1.0)).all():
        return None
    return share_ends(round(float((sums / counts).sum())), len(sums), LEVEL)
