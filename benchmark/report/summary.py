"""All means of a report: one attack on one task under one defense, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from gifd_bench.benchmark.results.groups import Group, groups_of
from gifd_bench.benchmark.results.rows import STATUSES, Row
from gifd_bench.benchmark.scoring.registry import range_of
from gifd_bench.benchmark.statistics.interval import Interval
from gifd_bench.benchmark.statistics.paired import Difference, Scores, against_best, mean_of


@dataclass(frozen=True)
class ShownMetric:
    """How a metric is shown.

    Attributes:
        name: its column in a row.
        form: the format of its numbers.
        sign: 1 if more is a better reconstruction, -1 if less is.
    """

    name: str
    heading: str
    form: str
    sign: int

    @property
    def arrow(self) -> str:
        """The direction in which a reconstruction is better."""
        return "↑" if self.sign > 0 else "↓"


METRICS = (
    ShownMetric("psnr", "PSNR", ".2f", 1),
    ShownMetric("ssim", "SSIM", ".3f", 1),
    ShownMetric("lpips_alex", "LPIPS (Alex)", ".3f", -1),
    ShownMetric("lpips_vgg", "LPIPS (VGG)", ".3f", -1),
    ShownMetric("identified", "identified", ".2f", 1),
    ShownMetric("label_accuracy", "labels", ".2f", 1),
)


@dataclass(frozen=True)
class AgainstBest:
    """An attack, compared with the best one of its task and defense.

    Attributes:
        best: the name of the best attack.
        difference: the scores of the best minus those of this attack.
    """

    best: str
    difference: Difference


@dataclass(frozen=True)
class Summary:
    """The means of a group.

    Attributes:
        intervals: mean and interval over the images by the name of the metric; `None` if a cell that is
            done lacks the metric, or none is done.
        gradient_evaluations, seconds: means over the cells that are done, or `None`.
        best: metrics in which it has the best mean of the complete groups of its task and defense, or in
            which the paired test cannot tell it from that. If all means are equal, or cover too few images
            for a test, none is best.
        against: the comparison with the best group of the same task and defense, by the name of the metric;
            without the metrics in which it is the best itself, or has no scores.
    """

    group: Group
    intervals: dict[str, Interval | None]
    gradient_evaluations: float | None
    seconds: float | None
    best: frozenset[str] = field(default=frozenset())
    against: Mapping[str, AgainstBest] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all of its cells are done."""
        return len(self.group.done) == len(self.group.rows)

    @property
    def missing(self) -> str:
        """How many cells the means lack, by status; empty if none."""
        counts = {status: self.group.count(status) for status in STATUSES if status != "done"}
        return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def summaries_of(rows: Sequence[Row]) -> list[Summary]:
    """A summary for every group, those of one task and defense next to each other."""
    summaries = [_summary(group) for group in groups_of(rows)]
    return [s for block in _blocks(summaries) for s in _with_best(block)]


def shown_metrics(rows: Sequence[Row]) -> tuple[ShownMetric, ...]:
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
    return None if group.mean(metric) is None else mean_of(scores_of(group, metric), range_of(metric))


def scores_of(group: Group, metric: str) -> Scores:
    """Every score of a group, by private image and seed.

    A private image is a target and a position in its batch.
    """
    return {
        ((row.target, k), row.seed): value
        for row in group.done
        for k, value in enumerate(row.per_image.get(metric) or ())
    }


def _blocks(summaries: Sequence[Summary]) -> list[list[Summary]]:
    def key(summary: Summary) -> tuple[int, int]:
        return tasks.index(summary.group.task), defenses.index(summary.group.defense)

    tasks = list(dict.fromkeys(s.group.task for s in summaries))
    defenses = list(dict.fromkeys(s.group.defense for s in summaries))
    return [list(block) for _, block in groupby(sorted(summaries, key=key), key)]


def _with_best(block: Sequence[Summary]) -> list[Summary]:
    """Mark the best of each metric, and compare every other with it.

    A mean that lacks cells is compared but never best: an attack that failed on the hard images would win
    by it.
    """
    best: dict[int, set[str]] = {k: set() for k in range(len(block))}
    against: dict[int, dict[str, AgainstBest]] = {k: {} for k in range(len(block))}
    for metric in METRICS:
        scores = {k: scores_of(s.group, metric.name) for k, s in enumerate(block)}
        places = [k for k, found in scores.items() if found]
        if len(places) < 2:
            continue
        full = [block[k].complete and block[k].intervals[metric.name] is not None for k in places]
        result = against_best([scores[k] for k in places], metric.sign, full, range_of(metric.name))
        name = block[places[result.best]].group.attack
        for place, difference in result.differences.items():
            against[places[place]][metric.name] = AgainstBest(name, difference)
        means = {_mean(block[k], metric) for k, eligible in zip(places, full, strict=True) if eligible}
        # With so few images that there are no intervals, every attack would share the first rank.
        found = [block[k].intervals[metric.name] for k in places]
        enough = any(interval is not None and interval.low is not None for interval in found)
        if enough and len(means) > 1:
            for place in result.shared:
                if full[place]:
                    best[places[place]].add(metric.name)
    return [
        replace(summary, best=frozenset(best[k]), against=against[k]) for k, summary in enumerate(block)
    ]


def _mean(summary: Summary, metric: ShownMetric) -> float | None:
    interval = summary.intervals[metric.name]
    return None if interval is None else interval.mean
