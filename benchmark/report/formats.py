"""The table of means as text for a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.report.latex import COUNTS, counts_of, latex_table
from gifd_bench.benchmark.report.naming import Names
from gifd_bench.benchmark.report.summary import METRICS, ShownMetric, Summary, shown_metrics, summaries_of
from gifd_bench.benchmark.results.rows import STATUSES, Row
from gifd_bench.benchmark.results.tables import markdown


@dataclass(frozen=True)
class TableOptions:
    """The content of a table of means.

    Attributes:
        columns: metrics by name; empty for all that any cell has.
        significance: whether a LaTeX table is a float that says how certain it is.
    """

    columns: tuple[str, ...] = ()
    significance: bool = False


ALL = TableOptions()


def metrics_for(rows: Sequence[Row], options: TableOptions) -> tuple[ShownMetric, ...]:
    """The metrics that are columns of a table.

    Raises:
        BenchmarkError: there is no such metric, or no cell has it.
    """
    there = {metric.name: metric for metric in shown_metrics(rows)}
    for name in options.columns:
        if name not in there:
            raise BenchmarkError(f"--columns: no cell has '{name}'; there are: {', '.join(there)}")
    return tuple(there[name] for name in options.columns or there)


def means_as_markdown(rows: Sequence[Row], options: TableOptions = ALL) -> str:
    """Markdown: means with their intervals, with the best of a task and defense in bold."""
    metrics, summaries, names = metrics_for(rows, options), summaries_of(rows), Names.of(rows)
    headings = ["task", "defense", "attack", *(f"{m.heading} {m.arrow}" for m in metrics)]
    lines = [
        [
            *(s.group.task, names.defense(s.group.defense), names.attack(s.group.attack)),
            *(_bold(s, m, "**{}**".format) + _ends(s, m) for m in metrics),
            *counts_of(s),
        ]
        for s in summaries
    ]
    return markdown([*headings, *COUNTS], lines)


def means_as_latex(rows: Sequence[Row], options: TableOptions = ALL) -> str:
    """LaTeX with the content of the Markdown table; see `latex_table`."""
    return latex_table(summaries_of(rows), metrics_for(rows, options), Names.of(rows), options.significance)


def means_as_csv(rows: Sequence[Row], options: TableOptions = ALL) -> str:
    """Comma-separated values, unrounded: `NAME_low` and `NAME_high` are the ends of the interval."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    metrics = metrics_for(rows, options) if options.columns else METRICS
    names = [f"{m.name}{end}" for m in metrics for end in ("", "_low", "_high")]
    costs = ("gradient_evaluations", "seconds")
    writer.writerow(["task", "defense", "attack", *names, *costs, "images", *STATUSES])
    for s in summaries_of(rows):
        intervals = [s.intervals[m.name] for m in metrics]
        numbers = [n for i in intervals for n in ((i.mean, i.low, i.high) if i else (None, None, None))]
        counts = [s.group.images, *(s.group.count(status) for status in STATUSES)]
        labels = (s.group.task, s.group.defense, s.group.attack)
        writer.writerow([*labels, *numbers, s.gradient_evaluations, s.seconds, *counts])
    return stream.getvalue().rstrip("\n")


TEXTS: dict[str, Callable[[Sequence[Row], TableOptions], str]] = {
    "markdown": means_as_markdown,
    "latex": means_as_latex,
    "csv": means_as_csv,
}


def _bold(summary: Summary, metric: ShownMetric, bold: Callable[[str], str]) -> str:
    interval = summary.intervals[metric.name]
    if interval is None:
        return "–"
    text = format(interval.mean, metric.form)
    return bold(text) if metric.name in summary.best else text


def _ends(summary: Summary, metric: ShownMetric) -> str:
    interval = summary.intervals[metric.name]
    return "" if interval is None else interval.ends(metric.form)
