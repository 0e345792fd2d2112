"""The best attack, compared with every other image by image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gifd_bench.benchmark.report.summary import ShownMetric, Summary
from gifd_bench.benchmark.statistics.paired import Difference


@dataclass(frozen=True)
class Comparison:
    """The best attack and another one on the same images under the same defense.

    Attributes:
        difference: the scores of the best minus those of the other, with Holm's correction over the
            comparisons under the defense. The same differences decide which attacks share the best place.
        unpaired: cells for which one attack or both have no score.
    """

    defense: str
    best: str
    other: str
    difference: Difference
    unpaired: int


@dataclass(frozen=True)
class ComparisonTable:
    """All comparisons in one metric on one task.

    Attributes:
        tests: how many tests were made.
    """

    task: str
    metric: ShownMetric
    comparisons: tuple[Comparison, ...]
    tests: int


def comparison_tables(
    summaries: Sequence[Summary], metrics: Sequence[ShownMetric]
) -> list[ComparisonTable]:
    """A table for every task and metric; none for a task with a single attack."""
    tasks: dict[str, list[Summary]] = {}
    for summary in summaries:
        tasks.setdefault(summary.group.task, []).append(summary)
    found = [
        (task, metric, tuple(_comparisons(block, metric)))
        for task, block in tasks.items()
        for metric in metrics
    ]
    return [
        ComparisonTable(task, metric, comparisons, sum(c.difference.p is not None for c in comparisons))
        for task, metric, comparisons in found
        if comparisons
    ]


def _comparisons(block: Sequence[Summary], metric: ShownMetric) -> Iterator[Comparison]:
    by_place = {(s.group.defense, s.group.attack): s for s in block}
    for summary in block:
        against = summary.against.get(metric.name)
        if against is None:
            continue
        best = by_place[summary.group.defense, against.best]
        yield Comparison(
            summary.group.defense,
            against.best,
            summary.group.attack,
            against.difference,
            _unpaired(best, summary, metric.name),
        )


def _unpaired(first: Summary, second: Summary, metric: str) -> int:
    cells = {(row.target, row.seed) for s in (first, second) for row in s.group.rows}
    scored = [
        {(row.target, row.seed) for row in s.group.done if row.per_image.get(metric)}
        for s in (first, second)
    ]
    return len(cells) - len(scored[0] & scored[1])
