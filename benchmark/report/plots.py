"""Figures of a report, as plotly specifications that the page draws."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle
from statistics import fmean
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]
import torch
from torch import Tensor

from gifd_bench.benchmark.report.summary import Metric, Summary
from gifd_bench.benchmark.results.groups import Group
from gifd_bench.benchmark.results.rows import Row

# Okabe and Ito's palette, told apart by the colour-blind too; of its black and yellow one or the other
# cannot be seen on a dark or a light page.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
HEIGHT = 340
# What the pointer says of a point.
DB, LOSS = "%{y:.2f} dB", "%{y:.3g}"
# Each tick in full: by itself plotly writes 5 for 0.05.
LOG = MappingProxyType({"type": "log", "tickformat": "~g"})
# Iterations that are drawn of a loss curve: it has thousands, and a page many curves.
POINTS = 120
# The PSNR of a stage is kept with four decimals.
ROUNDING = 1e-3


@dataclass(frozen=True)
class Plot:
    """A figure and what it is about.

    Attributes:
        heading: plain text.
        defense: null where the figure compares defenses.
        spec: `data` and `layout` of plotly, as JSON values. Each trace says in `meta` which attack it is.
    """

    heading: str
    task: str
    defense: str | None
    spec: dict[str, Any]


class Plots:
    """Draws figures in which an attack always has the same colour.

    Args:
        summaries: of the whole run.
        curve: gives the matching loss of every iterate of a cell that is done: (iterations,).
    """

    def __init__(self, summaries: Sequence[Summary], curve: Callable[[Row], Tensor]) -> None:
        attacks = list(dict.fromkeys(s.group.attack for s in summaries))
        self._colours = dict(zip(attacks, cycle(COLOURS)))
        self._symbols = dict(zip(attacks, cycle(SYMBOLS)))
        self._summaries = summaries
        self._curve = curve

    def all(self, metrics: Sequence[Metric]) -> list[Plot]:
        """Every figure of the run: of each task the metrics by defense, and of each of its defenses PSNR
        against gradient evaluations and by stage, and the loss curves."""
        return [plot for task in self._tasks() for plot in self._of_task(task, metrics)]

    def _tasks(self) -> list[str]:
        return list(dict.fromkeys(s.group.task for s in self._summaries))

    def _of_task(self, task: str, metrics: Sequence[Metric]) -> Iterator[Plot]:
        summaries = [s for s in self._summaries if s.group.task == task and s.group.done]
        for metric in metrics:
            bars = list(self._bars(summaries, metric))
            if bars:
                heading = f"{task}: {metric.heading} by defense"
                yield Plot(heading, task, None, _spec(bars, "defense", _title(metric)))
        for defense in dict.fromkeys(s.group.defense for s in summaries):
            groups = [s.group for s in summaries if s.group.defense == defense]
            heading = f"{task}, {defense}: PSNR against gradient evaluations"
            lines = [trace for group in groups for trace in self._against_evaluations(group)]
            yield Plot(heading, task, defense, _spec(lines, "gradient evaluations", "PSNR (dB)"))
            stages = [trace for group in groups for trace in self._by_stage(group)]
            if stages:
                heading = f"{task}, {defense}: PSNR by stage"
                yield Plot(heading, task, defense, _spec(stages, "stage", "PSNR (dB)"))
            losses = [trace for group in groups for trace in self._losses(group)]
            if losses:
                heading = f"{task}, {defense}: matching loss by iteration"
                yield Plot(heading, task, defense, _spec(losses, "iteration", "matching loss", LOG))

    def _bars(self, summaries: Sequence[Summary], metric: Metric) -> Iterator[go.Bar]:
        for attack in dict.fromkeys(s.group.attack for s in summaries):
            found = [
                (s.group.defense, interval)
                for s in summaries
                if s.group.attack == attack and (interval := s.intervals[metric.name])
            ]
            if not found:
                continue
            ends = [
                (i.mean, i.mean) if i.low is None or i.high is None else (i.low, i.high) for _, i in found
            ]
            yield go.Bar(
                name=escape(attack),
                meta={"attack": attack},
                x=[escape(defense) for defense, _ in found],
                y=[i.mean for _, i in found],
                error_y={
                    "type": "data",
                    "array": [high - i.mean for (_, i), (_, high) in zip(found, ends, strict=True)],
                    "arrayminus": [i.mean - low for (_, i), (low, _) in zip(found, ends, strict=True)],
                    "thickness": 1.2,
                    "width": 3,
                },
                customdata=[[defense, i.n] for defense, i in found],
                hovertemplate="%{x}: %{y} (%{customdata[1]} images)<extra>%{fullData.name}</extra>",
                marker={"color": self._colours[attack]},
            )

    def _against_evaluations(self, group: Group) -> Iterator[go.Scatter]:
        """What was found by the end of every stage, and in the end, against what it had cost."""
        for rows in _alike(group):
            path = _mean_path(rows)
            yield self._line(group, [x for x, _ in path], [y for _, y in path], f"{DB} ({len(rows)} cells)")

    def _by_stage(self, group: Group) -> Iterator[go.Scatter]:
        for rows in _alike(group):
            names = [escape(stage.name) for stage in rows[0].stages]
            if len(names) > 1:
                psnr = [fmean(row.stages[k].psnr for row in rows) for k in range(len(names))]
                yield self._line(group, names, psnr, f"{DB} ({len(rows)} cells)")

    def _losses(self, group: Group) -> Iterator[go.Scatter]:
        for rows in _alike(group):
            iterations, losses = mean_curve(map(self._curve, rows))
            if any(loss is not None for loss in losses):
                yield self._line(group, iterations, losses, f"{LOSS} ({len(rows)} cells)", "lines")

    def _line(
        self,
        group: Group,
        x: Sequence[float] | Sequence[str],
        y: Sequence[float | None],
        hover: str,
        mode: str = "lines+markers",
    ) -> go.Scatter:
        return go.Scatter(
            name=escape(group.attack),
            meta={"attack": group.attack},
            x=list(x),
            y=list(y),
            mode=mode,
            line={"color": self._colours[group.attack], "width": 2},
            marker={"symbol": self._symbols[group.attack], "size": 8},
            hovertemplate=f"%{{x}}: {hover}<extra>%{{fullData.name}}</extra>",
        )


def _alike(group: Group) -> list[list[Row]]:
    """The rows that are done, those with the same stages and a number for each together."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in group.done:
        if row.psnr is not None and row.gradient_evaluations is not None:
            found.setdefault(tuple(stage.name for stage in row.stages), []).append(row)
    return list(found.values())


def _path(row: Row) -> list[tuple[float, float]]:
    """Gradient evaluations and PSNR at the end of every stage, and of the answer."""
    stages = [(float(stage.gradient_evaluations), stage.psnr) for stage in row.stages]
    return [*stages, (float(row.gradient_evaluations or 0), row.psnr or 0.0)]


def _mean_path(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """The mean of their paths, point by point; an answer that is the last stage's is no point more."""
    points = [
        (fmean(x for x, _ in point), fmean(y for _, y in point))
        for point in zip(*map(_path, rows), strict=True)
    ]
    last, end = [(0.0, 0.0), *points][-2:]
    same = last[0] == end[0] and abs(last[1] - end[1]) < ROUNDING
    return points[:-1] if same else points


def mean_curve(curves: Iterable[Tensor]) -> tuple[list[float], list[float | None]]:
    """At most `POINTS` iterations, from the first, 1, to the last, and the mean loss at each: null where
    that is not finite, or not positive, for which a logarithmic axis has no place.

    Args:
        curves: (iterations,) each, at least one.
    """
    count, total = 0, torch.zeros((), dtype=torch.float64)
    for curve in curves:
        chosen = torch.linspace(0, len(curve) - 1, min(len(curve), POINTS)).round().long()
        count, total = count + 1, total + curve[chosen].double()
    means = [float(f"{mean:.4g}") for mean in (total / count).tolist()]
    return (chosen + 1).tolist(), [mean if 0 < mean < math.inf else None for mean in means]


def _title(metric: Metric) -> str:
    unit = " (dB)" if metric.name == "psnr" else ""
    return f"{metric.heading}{unit} {metric.arrow}"


def _axis_title(text: str) -> dict[str, Any]:
    return {"text": text, "font": {"size": 13}, "standoff": 8}


def _spec(
    traces: Sequence[Any], x: str, y: str, scale: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    # Colours of text and lines are the style sheet's, which knows light, dark and print.
    figure = go.Figure(
        data=traces,
        layout={
            "template": "none",
            "height": HEIGHT,
            "margin": {"l": 52, "r": 8, "t": 8, "b": 48},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 13},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "showlegend": True,
            "barmode": "group",
            "dragmode": False,
            "xaxis": {"title": _axis_title(x), "zeroline": False, "automargin": True},
            "yaxis": {"title": _axis_title(y), "zeroline": False, "automargin": True, **scale},
        },
    )
    spec: dict[str, Any] = json.loads(figure.to_json())
    return spec
