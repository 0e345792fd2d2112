"""Statistics of scores: intervals of means, and tests on pairs."""

from gifd_bench.benchmark.statistics.interval import LEVEL, RESAMPLES, Interval, mean_interval
from gifd_bench.benchmark.statistics.paired import FEWEST_PAIRS, SignedRank, holm, signed_rank

__all__ = [
    "FEWEST_PAIRS",
    "LEVEL",
    "RESAMPLES",
    "Interval",
    "SignedRank",
    "holm",
    "mean_interval",
    "signed_rank",
]
