"""The table of means as text for a paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from gifd_bench.benchmark.report.summary import METRICS, Metric, Summary, shown_metrics, summaries_of
from gifd_bench.benchmark.results.rows import STATUSES, Row
from gifd_bench.benchmark.results.tables import markdown
from gifd_bench.benchmark.statistics.interval import LEVEL, Interval

LATEX_SPECIALS = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "\n": " ",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)


def means_as_markdown(rows: Sequence[Row]) -> str:
    """Markdown: means with their intervals, the best of a task and defense bold."""
    metrics, summaries = shown_metrics(rows), summaries_of(rows)
    headings = ["task", "defense", "attack", *(f"{m.heading} {m.arrow}" for m in metrics)]
    lines = [
        [
            *(s.group.task, s.group.defense, s.group.attack),
            *(_bold(s, m, "**{}**".format) + _ends(s.intervals[m.name], m) for m in metrics),
            *_counts(s),
        ]
        for s in summaries
    ]
    return markdown([*headings, *COUNTS], lines)


def means_as_latex(rows: Sequence[Row]) -> str:
    """A LaTeX tabular (package booktabs): as the Markdown, with a rule between defenses."""
    metrics, summaries = shown_metrics(rows), summaries_of(rows)
    arrows = {"↑": r"$\uparrow$", "↓": r"$\downarrow$"}
    headings = ["task", "defense", "attack", *(f"{m.heading} {arrows[m.arrow]}" for m in metrics), *COUNTS]
    lines = [" & ".join(headings) + r" \\", r"\midrule"]
    for before, summary in zip([None, *summaries], summaries, strict=False):
        if before is not None and _block(before) != _block(summary):
            lines.append(r"\midrule")
        numbers = [
            _bold(summary, m, r"\textbf{{{}}}".format)
            + _ends(summary.intervals[m.name], m, r"{{\scriptsize {}}}")
            for m in metrics
        ]
        labels = (*_block(summary), summary.group.attack)
        texts = [*(label.translate(LATEX_SPECIALS) for label in labels), *numbers, *_counts(summary)]
        lines.append(" & ".join(texts) + r" \\")
    comments = [
        f"% needs the package booktabs; in brackets: {LEVEL:.0%} confidence interval over the images",
        "% bold: the best of a task and defense, and what a paired test cannot tell from it",
    ]
    columns = "lll" + "r" * (len(metrics) + len(COUNTS))
    return "\n".join(
        [
            *comments,
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def means_as_csv(rows: Sequence[Row]) -> str:
    """Comma-separated values, unrounded: `NAME_low` and `NAME_high` are the ends of the interval."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [f"{m.name}{end}" for m in METRICS for end in ("", "_low", "_high")]
    costs = ("gradient_evaluations", "seconds")
    writer.writerow(["task", "defense", "attack", *names, *costs, "images", *STATUSES])
    for s in summaries_of(rows):
        intervals = [s.intervals[m.name] for m in METRICS]
        numbers = [n for i in intervals for n in ((i.mean, i.low, i.high) if i else (None, None, None))]
        counts = [s.group.images, *(s.group.count(status) for status in STATUSES)]
        labels = (s.group.task, s.group.defense, s.group.attack)
        writer.writerow([*labels, *numbers, s.gradient_evaluations, s.seconds, *counts])
    return stream.getvalue().rstrip("\n")


TEXTS: dict[str, Callable[[Sequence[Row]], str]] = {
    "markdown": means_as_markdown,
    "latex": means_as_latex,
    "csv": means_as_csv,
}

COUNTS = ("evaluations", "images", "cells done")


def _counts(summary: Summary) -> list[str]:
    evaluations = summary.gradient_evaluations
    return [
        "–" if evaluations is None else f"{evaluations:.0f}",
        str(summary.group.images),
        f"{len(summary.group.done)}/{len(summary.group.rows)}",
    ]


def _block(summary: Summary) -> tuple[str, str]:
    return summary.group.task, summary.group.defense


def _bold(summary: Summary, metric: Metric, bold: Callable[[str], str]) -> str:
    interval = summary.intervals[metric.name]
    if interval is None:
        return "–"
    text = format(interval.mean, metric.form)
    return bold(text) if metric.name in summary.best else text


def _ends(interval: Interval | None, metric: Metric, form: str = "{}") -> str:
    if interval is None or interval.low is None or interval.high is None:
        return ""
    ends = f"[{interval.low:{metric.form}}, {interval.high:{metric.form}}]"
    return " " + form.format(ends)
