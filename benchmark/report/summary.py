"""Every mean of a report: one attack on one task under one defense, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from gifd_bench.benchmark.results.groups import Group, groups_of
from gifd_bench.benchmark.results.rows import STATUSES, Row
from gifd_bench.benchmark.statistics.interval import Interval, mean_interval


@dataclass(frozen=True)
class Metric:
    """How a metric is shown.

    Attributes:
        name: its column in a row.
        form: of its numbers.
        sign: 1 where more is a better reconstruction, -1 where less is.
    """

    name: str
    heading: str
    form: str
    sign: int

    @property
    def arrow(self) -> str:
        """Which way a reconstruction is better."""
        return "↑" if self.sign > 0 else "↓"


METRICS = (
    Metric("psnr", "PSNR", ".2f", 1),
    Metric("ssim", "SSIM", ".3f", 1),
    Metric("lpips_alex", "LPIPS (Alex)", ".3f", -1),
    Metric("lpips_vgg", "LPIPS (VGG)", ".3f", -1),
    Metric("label_accuracy", "labels", ".2f", 1),
)


@dataclass(frozen=True)
class Summary:
    """The means of a group.

    Attributes:
        intervals: metric name to mean and interval over the images; null where a cell that is done
            lacks the metric, or none is done.
        gradient_evaluations, seconds: means over the cells that are done, or null.
        best: metrics in which it is ahead of another complete group of the same task and defense, and
            behind none.
    """

    group: Group
    intervals: dict[str, Interval | None]
    gradient_evaluations: float | None
    seconds: float | None
    best: frozenset[str] = field(default=frozenset())

    @property
    def complete(self) -> bool:
        """Whether all of its cells are done."""
        return len(self.group.done) == len(self.group.rows)

    @property
    def missing(self) -> str:
        """How many cells the means lack, by status; empty where none."""
        counts = {status: self.group.count(status) for status in STATUSES if status != "done"}
        return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def summaries_of(rows: Sequence[Row]) -> list[Summary]:
    """A summary for every group, those of one task and defense next to each other."""
    summaries = [_summary(group) for group in groups_of(rows)]
    return [s for block in _blocks(summaries) for s in _with_best(block)]


def shown_metrics(rows: Sequence[Row]) -> tuple[Metric, ...]:
    """The metrics that any row has."""
    return tuple(m for m in METRICS if any(getattr(row, m.name) is not None for row in rows))


def _summary(group: Group) -> Summary:
    return Summary(
        group,
        {metric.name: _interval(group, metric.name) for metric in METRICS},
        group.mean("gradient_evaluations"),
        group.mean("seconds"),
    )


def _interval(group: Group, metric: str) -> Interval | None:
    if group.mean(metric) is None:
        return None
    values: list[float] = []
    units: list[tuple[int, int]] = []
    for row in group.done:
        scores = row.per_image.get(metric) or ()
        values += scores
        units += [(row.target, k) for k in range(len(scores))]
    return mean_interval(values, units)


def _blocks(summaries: Sequence[Summary]) -> list[list[Summary]]:
    def key(summary: Summary) -> tuple[int, int]:
        return tasks.index(summary.group.task), defenses.index(summary.group.defense)

    tasks = list(dict.fromkeys(s.group.task for s in summaries))
    defenses = list(dict.fromkeys(s.group.defense for s in summaries))
    return [list(block) for _, block in groupby(sorted(summaries, key=key), key)]


def _with_best(block: Sequence[Summary]) -> list[Summary]:
    """Mark the best of each metric. A mean that lacks cells takes no part: an attack that failed on the
    hard images would win by it."""
    best: dict[int, set[str]] = {k: set() for k in range(len(block))}
    for metric in METRICS:
        means = {
            k: metric.sign * interval.mean
            for k, summary in enumerate(block)
            if summary.complete and (interval := summary.intervals[metric.name]) is not None
        }
        if len(set(means.values())) > 1:
            for k in (k for k, mean in means.items() if mean == max(means.values())):
                best[k].add(metric.name)
    return [replace(summary, best=frozenset(best[k])) for k, summary in enumerate(block)]
