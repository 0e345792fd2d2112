"""The charts of a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]
import torch
from torch import Tensor

from gifd_bench.benchmark.report.axes import ParameterAxis, parameter_axes
from gifd_bench.benchmark.report.courses import AttackCourse, CoursePoint, courses_of
from gifd_bench.benchmark.report.drawing import LINEAR, LOG, LOG_X, Look, spec, whiskers
from gifd_bench.benchmark.report.naming import Names, is_undefended
from gifd_bench.benchmark.report.summary import ShownMetric, Summary
from gifd_bench.benchmark.results.groups import Group
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.benchmark.statistics.interval import Interval

# What the pointer says of a point.
DB, LOSS, IMAGES = "%{y:.2f} dB", "%{y:.3g}", "%{y:.4g} (%{customdata[1]} images)"
# How many iterations of a loss curve are drawn: it has thousands, and a page has many curves.
POINTS = 120
Scored = tuple[Summary, Interval]
Read = Callable[[CoursePoint], tuple[float | None, float | None]]
# The charts of courses: the titles of both axes, and what is read from a point.
COURSES: tuple[tuple[str, str, Read], ...] = (
    ("gradient evaluations", "PSNR (dB)", lambda point: (point.gradient_evaluations, point.psnr)),
    ("gradient evaluations", "identified", lambda point: (point.gradient_evaluations, point.identified)),
    ("seconds", "PSNR (dB)", lambda point: (point.seconds, point.psnr)),
)


@dataclass(frozen=True)
class Plot:
    """A figure, and what it is about.

    Attributes:
        heading: plain text.
        task: its label.
        defense: `None` if the figure compares defenses.
        spec: `data` and `layout` of plotly, as JSON values. Each trace says in `meta` to which attack it
            belongs.
    """

    heading: str
    task: str
    defense: str | None
    spec: dict[str, Any]


class Plots:
    """Draws figures in which an attack always has the same color.

    Args:
        summaries: the summaries of the whole run.
        names: the names of its defenses and attacks.
        curve: returns the matching loss of every iterate of a cell that is done: (iterations,).
    """

    def __init__(self, summaries: Sequence[Summary], names: Names, curve: Callable[[Row], Tensor]) -> None:
        self._names = names
        self._summaries = summaries
        self._curve = curve
        self._look = Look({s.group.attack: names.attack(s.group.attack) for s in summaries})
        rows = {s.group.attack: s.group.rows[0].cell for s in summaries}
        self._attack_axes = parameter_axes(
            {name: [cell.attack, *([cell.prior] if cell.prior else [])] for name, cell in rows.items()}
        )
        self._of_an_axis = {name for axis in self._attack_axes for name in axis.values}

    def all(self, metrics: Sequence[ShownMetric]) -> list[Plot]:
        """Every figure of the run.

        For each task, these are the metrics by defense and by parameter. For each of its defenses, they are
        PSNR against gradient evaluations and by stage, and the loss curves.
        """
        tasks = dict.fromkeys(s.group.task for s in self._summaries)
        return [plot for task in tasks for plot in self._of_task(task, metrics)]

    def _of_task(self, task: str, metrics: Sequence[ShownMetric]) -> Iterator[Plot]:
        summaries = [s for s in self._summaries if s.group.task == task and s.group.done]
        cells = {s.group.defense: s.group.rows[0].cell for s in summaries}
        axes = parameter_axes({label: cell.defense.parts for label, cell in cells.items()})
        for metric in metrics:
            for axis in axes:
                yield from self._by_strength(task, summaries, metric, axis)
            for axis in self._attack_axes:
                yield from self._by_option(task, summaries, metric, axis)
            swept = {label for axis in axes for label in axis.values}
            others = [s for s in summaries if s.group.defense not in swept]
            # The charts of a parameter already show what it is compared with.
            if not axes or any(not is_undefended(cells[s.group.defense].defense) for s in others):
                yield from self._by_defense(task, others, metric)
        for defense in dict.fromkeys(s.group.defense for s in summaries):
            groups = [s.group for s in summaries if s.group.defense == defense]
            yield from self._of_defense(task, defense, groups)

    def _by_defense(self, task: str, summaries: Sequence[Summary], metric: ShownMetric) -> Iterator[Plot]:
        found = self._intervals(summaries, metric)
        if not found or says_nothing(i for _, i in found):
            return
        bars = [
            go.Bar(
                name=self._look.name(attack),
                meta={"attack": attack},
                x=[escape(self._names.defense(s.group.defense)) for s, _ in of_attack],
                y=[i.mean for _, i in of_attack],
                error_y=whiskers([i for _, i in of_attack]),
                customdata=[[s.group.defense, i.n] for s, i in of_attack],
                hovertemplate=f"%{{x}}: {IMAGES}<extra>%{{fullData.name}}</extra>",
                marker={"color": self._look.colors[attack]},
            )
            for attack, of_attack in _by_attack(found).items()
        ]
        yield Plot(
            f"{task}: {metric.heading} by defense", task, None, spec(bars, "defense", _title(metric))
        )

    def _by_strength(
        self, task: str, summaries: Sequence[Summary], metric: ShownMetric, axis: ParameterAxis
    ) -> Iterator[Plot]:
        traces: list[go.Scatter] = []
        drawn: list[Interval] = []
        for attack, of_attack in _by_attack(self._intervals(summaries, metric)).items():
            by_label = {s.group.defense: i for s, i in of_attack}
            points = [(label, x, by_label[label]) for label, x in axis.values.items() if label in by_label]
            if not points:
                continue
            intervals = [i for _, _, i in points]
            drawn += intervals
            traces.append(
                self._look.line(
                    attack,
                    [x for _, x, _ in points],
                    [i.mean for i in intervals],
                    IMAGES,
                    error_y=whiskers(intervals),
                    customdata=[[label, i.n] for label, _, i in points],
                )
            )
            plain = [i for s, i in of_attack if is_undefended(s.group.rows[0].cell.defense)]
            drawn += plain
            ends = [min(axis.values.values()), max(axis.values.values())]
            traces += [self._level(attack, ends, interval) for interval in plain]
        if traces and not says_nothing(drawn):
            scale = LOG_X if axis.logarithmic else LINEAR
            heading = f"{task}: {metric.heading} by {axis.title}; dotted: no defense"
            yield Plot(heading, task, None, spec(traces, axis.title, _title(metric), scale))

    def _level(self, attack: str, ends: Sequence[float], interval: Interval) -> go.Scatter:
        """What an attack reads without a defense: a dotted line through the chart."""
        line = self._look.line(
            attack, ends, [interval.mean] * 2, "%{y:.4g}, no defense", "lines", showlegend=False
        )
        return line.update(line={"dash": "dot", "width": 1.5})

    def _by_option(
        self, task: str, summaries: Sequence[Summary], metric: ShownMetric, axis: ParameterAxis
    ) -> Iterator[Plot]:
        """A chart for each defense, whose line goes through the values of an attack's option."""
        for defense in dict.fromkeys(s.group.defense for s in summaries):
            mine = [s for s in summaries if s.group.defense == defense]
            found = {s.group.attack: i for s in mine if (i := s.intervals[metric.name])}
            points = [(name, x, found[name]) for name, x in axis.values.items() if name in found]
            intervals = [i for _, _, i in points]
            if not points or says_nothing(intervals):
                continue
            line = self._look.line(
                points[0][0],
                [x for _, x, _ in points],
                [i.mean for i in intervals],
                IMAGES,
                error_y=whiskers(intervals),
                customdata=[[defense, i.n] for i in intervals],
            )
            scale = LOG_X if axis.logarithmic else LINEAR
            heading = f"{task}, {self._names.defense(defense)}: {metric.heading} by {axis.title}"
            yield Plot(heading, task, defense, spec([line], axis.title, _title(metric), scale))

    def _intervals(self, summaries: Sequence[Summary], metric: ShownMetric) -> list[Scored]:
        """The intervals of the attacks that are not on an axis of their own."""
        return [
            (s, interval)
            for s in summaries
            if s.group.attack not in self._of_an_axis and (interval := s.intervals[metric.name])
        ]

    def _of_defense(self, task: str, defense: str, groups: Sequence[Group]) -> Iterator[Plot]:
        head = f"{task}, {self._names.defense(defense)}"
        courses = [course for group in groups for course in courses_of(group)]
        for x, y, read in COURSES:
            lines = [line for course in courses for line in self._course(course, read)]
            # Where nothing but the answers is known, one chart of them is enough.
            if lines and (read is COURSES[0][2] or any(len(line.x) > 1 for line in lines)):
                heading = f"{head}: {y.removesuffix(' (dB)')} against {x}"
                yield Plot(heading, task, defense, spec(lines, x, y, LOG_X))
        stages = [trace for group in groups for trace in self._by_stage(group)]
        if stages:
            yield Plot(f"{head}: PSNR by stage", task, defense, spec(stages, "stage", "PSNR (dB)"))
        losses = [trace for group in groups for trace in self._losses(group)]
        if losses:
            heading = f"{head}: matching loss by iteration"
            figure = spec(losses, "iteration", "matching loss", y_scale=LOG)
            yield Plot(heading, task, defense, figure)

    def _course(self, course: AttackCourse, read: Read) -> Iterator[go.Scatter]:
        """What an attack had found at each moment."""
        pairs = [read(point) for point in course.points]
        known = [(x, y) for x, y in pairs if x is not None and x > 0 and y is not None]
        if known:
            hover = f"%{{y:.4g}} ({course.cells} cells)"
            yield self._look.line(course.attack, [x for x, _ in known], [y for _, y in known], hover)

    def _by_stage(self, group: Group) -> Iterator[go.Scatter]:
        for rows in _alike(group):
            names = [escape(stage.name) for stage in rows[0].stages]
            if len(names) > 1:
                psnr = [fmean(row.stages[k].psnr for row in rows) for k in range(len(names))]
                yield self._look.line(group.attack, names, psnr, f"{DB} ({len(rows)} cells)")

    def _losses(self, group: Group) -> Iterator[go.Scatter]:
        for rows in _alike(group):
            iterations, losses = mean_curve(map(self._curve, rows))
            if any(loss is not None for loss in losses):
                hover = f"{LOSS} ({len(rows)} cells)"
                yield self._look.line(group.attack, iterations, losses, hover, "lines")


def says_nothing(intervals: Iterable[Interval]) -> bool:
    """Whether all means of a chart are equal."""
    return len({round(interval.mean, 9) for interval in intervals}) < 2


def _by_attack(found: Sequence[Scored]) -> dict[str, list[Scored]]:
    by_attack: dict[str, list[Scored]] = {}
    for summary, interval in found:
        by_attack.setdefault(summary.group.attack, []).append((summary, interval))
    return by_attack


def _alike(group: Group) -> list[list[Row]]:
    """The rows that are done, grouped by equal stages, with a number for each group."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in group.done:
        if row.psnr is not None and row.gradient_evaluations is not None:
            found.setdefault(tuple(stage.name for stage in row.stages), []).append(row)
    return list(found.values())


def mean_curve(curves: Iterable[Tensor]) -> tuple[list[float], list[float | None]]:
    """At most `POINTS` iterations, from the first, 1, to the last, and the mean loss at each.

    The loss is `None` if it is not finite, or not positive, for which a logarithmic axis has no place.

    Args:
        curves: (iterations,) each, at least one.
    """
    count, total = 0, torch.zeros((), dtype=torch.float64)
    for curve in curves:
        chosen = torch.linspace(0, len(curve) - 1, min(len(curve), POINTS)).round().long()
        count, total = count + 1, total + curve[chosen].double()
    means = [float(f"{mean:.4g}") for mean in (total / count).tolist()]
    return (chosen + 1).tolist(), [mean if 0 < mean < math.inf else None for mean in means]


def _title(metric: ShownMetric) -> str:
    unit = " (dB)" if metric.name == "psnr" else ""
    return f"{metric.heading}{unit} {metric.arrow}"
