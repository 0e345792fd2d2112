"""Attacks against each other, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean

from gifd_bench.benchmark.report.summary import Metric
from gifd_bench.benchmark.results.groups import Group, groups_of
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.benchmark.statistics.interval import Interval, mean_interval
from gifd_bench.benchmark.statistics.paired import holm, signed_rank


@dataclass(frozen=True)
class Comparison:
    """Two attacks on the same images under the same defense.

    Attributes:
        difference: first less second; null where no cell has both.
        unpaired: cells of which one attack or both have no score.
        p: of the Wilcoxon signed-rank test; null where none was made, and the note says why.
        adjusted: `p` after Holm's correction over the comparisons of the table.
    """

    defense: str
    first: str
    second: str
    difference: Interval | None
    unpaired: int
    p: float | None
    note: str
    adjusted: float | None = None


@dataclass(frozen=True)
class ComparisonTable:
    """All comparisons in one metric on one task: the family that is corrected for.

    Attributes:
        tests: how many tests were made.
    """

    task: str
    metric: Metric
    comparisons: tuple[Comparison, ...]
    tests: int


def comparison_tables(rows: Sequence[Row], metrics: Sequence[Metric]) -> list[ComparisonTable]:
    """A table for every task and metric; none for a task with a single attack."""
    tasks: dict[str, list[Group]] = {}
    for group in groups_of(rows):
        tasks.setdefault(group.task, []).append(group)
    tables = [_table(task, metric, groups) for task, groups in tasks.items() for metric in metrics]
    return [table for table in tables if table.comparisons]


def _table(task: str, metric: Metric, groups: Sequence[Group]) -> ComparisonTable:
    found = [
        _comparison(first, second, metric.name)
        for first, second in combinations(groups, 2)
        if first.defense == second.defense
    ]
    tested = [k for k, comparison in enumerate(found) if comparison.p is not None]
    for k, adjusted in zip(tested, holm([found[k].p or 0.0 for k in tested]), strict=True):
        found[k] = replace(found[k], adjusted=adjusted)
    return ComparisonTable(task, metric, tuple(found), len(tested))


def _comparison(first: Group, second: Group, metric: str) -> Comparison:
    """Scores are paired by target, seed and image; the seeds of an image are then averaged, because they
    are no images more."""
    ours, theirs = _scores(first, metric), _scores(second, metric)
    by_image: dict[tuple[int, int], list[float]] = {}
    both = [cell for cell in ours if cell in theirs]
    for target, seed in both:
        pairs = zip(ours[target, seed], theirs[target, seed], strict=True)
        for k, (a, b) in enumerate(pairs):
            by_image.setdefault((target, k), []).append(a - b)
    differences = [fmean(values) for values in by_image.values()]
    test = signed_rank(differences)
    return Comparison(
        first.defense,
        first.attack,
        second.attack,
        mean_interval(differences) if differences else None,
        len({(row.target, row.seed) for row in (*first.rows, *second.rows)}) - len(both),
        test.p,
        test.note,
    )


def _scores(group: Group, metric: str) -> dict[tuple[int, int], Sequence[float]]:
    """Target and seed to the scores of the images, of the cells that have them."""
    scores = {(row.target, row.seed): row.per_image.get(metric) for row in group.done}
    return {cell: values for cell, values in scores.items() if values is not None}
