"""Names and formats of metrics on the board."""

from __future__ import annotations

from collections.abc import Iterable

from gifd_bench.benchmark.report.summary import METRICS, ShownMetric
from gifd_bench.leaderboard.protocol import LOWER_IS_BETTER

_KNOWN = {metric.name: metric for metric in METRICS}


def shown_as(names: Iterable[str]) -> list[ShownMetric]:
    """Metrics of a protocol; those that reports do not show have their own names."""
    return [
        _KNOWN.get(name, ShownMetric(name, name, ".4f", -1 if name in LOWER_IS_BETTER else 1))
        for name in names
    ]
