"""The table of means in LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from gifd_bench.benchmark.report.naming import Names
from gifd_bench.benchmark.report.summary import ShownMetric, Summary
from gifd_bench.benchmark.statistics.interval import FEWEST_UNITS, LEVEL, Interval

SPECIALS = str.maketrans(
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
ARROWS = {"↑": r"$\uparrow$", "↓": r"$\downarrow$"}
COUNTS = ("evaluations", "images", "cells done")


def escaped(text: str) -> str:
    """A text in which nothing is a LaTeX command."""
    return text.translate(SPECIALS)


def latex_table(
    summaries: Sequence[Summary], metrics: Sequence[ShownMetric], names: Names, significance: bool
) -> str:
    """A table of the package booktabs, with a rule between defenses.

    Args:
        summaries: its lines.
        metrics: its columns.
        names: the names of defenses and attacks.
        significance: whether it is a float with a caption, which says how many images the means cover and
            what bold means, and with the p value of every comparison with the best.
    """
    columns = "lll" + ("rr" if significance else "r") * len(metrics) + ("" if significance else "rrr")
    tabular = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line(_headings(metrics, significance)),
        r"\midrule",
        *_lines(summaries, metrics, names, significance),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    package = "% needs the package booktabs"
    if not significance:
        comments = [
            f"{package}; in brackets: {LEVEL:.0%} confidence interval over the images",
            "% bold: the best of a task and defense, and what a paired test cannot tell from it",
        ]
        return "\n".join([*comments, *tabular])
    caption = rf"\caption{{{_caption(summaries, metrics)}}}"
    return "\n".join([package, r"\begin{table}", r"\centering", caption, *tabular, r"\end{table}"])


def _headings(metrics: Sequence[ShownMetric], significance: bool) -> list[str]:
    numbers = []
    for metric in metrics:
        numbers.append(f"{escaped(metric.heading)} {ARROWS[metric.arrow]}")
        numbers += ["$p$"] if significance else []
    return ["task", "defense", "attack", *numbers, *(() if significance else COUNTS)]


def _lines(
    summaries: Sequence[Summary], metrics: Sequence[ShownMetric], names: Names, significance: bool
) -> list[str]:
    lines = []
    before: tuple[str, str] | None = None
    for summary in summaries:
        block = summary.group.task, summary.group.defense
        if before not in (None, block):
            lines.append(r"\midrule")
        before = block
        texts = [block[0], names.defense(block[1]), names.attack(summary.group.attack)]
        cells = [escaped(text) for text in texts]
        for metric in metrics:
            cells.append(_number(summary, metric))
            cells += [_p(summary, metric)] if significance else []
        lines.append(_line([*cells, *(() if significance else counts_of(summary))]))
    return lines


def counts_of(summary: Summary) -> list[str]:
    """Evaluations, images, and the number of cells that are done, as text."""
    evaluations = summary.gradient_evaluations
    return [
        "–" if evaluations is None else f"{evaluations:.0f}",
        str(summary.group.images),
        f"{len(summary.group.done)}/{len(summary.group.rows)}",
    ]


def _number(summary: Summary, metric: ShownMetric) -> str:
    interval = summary.intervals[metric.name]
    if interval is None:
        return "--"
    mean = format(interval.mean, metric.form)
    text = rf"\textbf{{{mean}}}" if metric.name in summary.best else mean
    return text + _ends(interval, metric)


def _ends(interval: Interval, metric: ShownMetric) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return rf" {{\scriptsize [{interval.low:{metric.form}}, {interval.high:{metric.form}}]}}"


def _p(summary: Summary, metric: ShownMetric) -> str:
    """The p value of the comparison with the best; without one, it is the best, or was not tested."""
    against = summary.against.get(metric.name)
    if against is None:
        return "best" if metric.name in summary.best else "--"
    p = against.difference.adjusted
    if p is None:
        return "--"
    return "$<$0.001" if p < 1e-3 else f"{p:.3f}"


def _caption(summaries: Sequence[Summary], metrics: Sequence[ShownMetric]) -> str:
    counts = sorted({i.n for s in summaries for m in metrics if (i := s.intervals[m.name])})
    images = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else "no"
    level = f"{LEVEL:.0%}".replace("%", r"\%")
    return (
        rf"Means over $n$ = {images} private images, in brackets their {level} confidence intervals. "
        r"Bold: the best attack on a task under a defense, and those that a paired test on the same images "
        r"(Student's and a bootstrap $t$; McNemar's for shares) does not tell from it "
        rf"($p > {1 - LEVEL:.2f}$ after Holm's correction over the attacks of the defense); "
        rf"--: no difference, or fewer than {FEWEST_UNITS} images."
    )


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
