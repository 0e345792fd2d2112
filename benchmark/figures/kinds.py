"""The kinds of figures, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.figures.strip import strip
from gifd_bench.benchmark.figures.style import COLUMN, MARKERS, PAGE, color, line, reaches
from gifd_bench.benchmark.figures.subject import FigureSubject
from gifd_bench.benchmark.report.axes import ParameterAxis, parameter_axes
from gifd_bench.benchmark.report.courses import AttackCourse, courses_of
from gifd_bench.benchmark.report.naming import is_undefended
from gifd_bench.benchmark.report.summary import METRICS, ShownMetric, Summary
from gifd_bench.benchmark.statistics.interval import Interval
from gifd_bench.benchmark.tradeoff.chart import draw_tradeoff
from gifd_bench.benchmark.tradeoff.points_file import read_points

SHAPE = 0.72
SHOWN = ("psnr", "ssim")


def bars(subject: FigureSubject) -> Figure:
    """PSNR and SSIM of every attack by defense, or against the strength if that was swept."""
    axes_of_defenses = parameter_axes(
        {s.group.defense: s.group.rows[0].cell.defense.parts for s in subject.summaries}
    )
    figure = Figure(figsize=(PAGE, COLUMN * SHAPE), layout="constrained")
    panels = figure.subplots(1, len(SHOWN))
    for panel, metric in zip(panels, (m for m in METRICS if m.name in SHOWN), strict=True):
        if axes_of_defenses:
            _by_strength(panel, subject, metric, axes_of_defenses[0])
        else:
            _by_defense(panel, subject, metric)
        panel.set_ylabel(f"{metric.heading} (dB)" if metric.name == "psnr" else metric.heading)
        panel.grid(axis="y")
    _legend(figure, panels[0])
    return figure


def curves(subject: FigureSubject) -> Figure:
    """PSNR and, if it is known, identification against gradient evaluations.

    They are those without a defense, or else those under the first defense.
    """
    opened = subject.finding.opened
    courses = [course for s in opened.summaries for course in courses_of(s.group)]
    seen = any(point.identified is not None for course in courses for point in course.points)
    figure = Figure(figsize=(PAGE if seen else COLUMN, COLUMN * SHAPE), layout="constrained")
    panels: Sequence[Axes] = figure.subplots(1, 2 if seen else 1, squeeze=False)[0]
    for number, course in enumerate(courses):
        _course(panels, subject, number, course)
    for panel, label in zip(panels, ("PSNR (dB)", "images identified"), strict=False):
        panel.set_xscale("log")
        panel.set_xlabel("gradient evaluations")
        panel.set_ylabel(label)
        panel.grid()
    _legend(figure, panels[0])
    return figure


def tradeoff(subject: FigureSubject) -> Figure:
    """What every setting leaks against the accuracy that it leaves, as `gifd-bench tradeoff` found it.

    Raises:
        BenchmarkError: the folder holds no trade-off of the task.
    """
    file = subject.run.path / "tradeoff.csv"
    if not file.is_file():
        raise BenchmarkError(
            f"{subject.run.path}: there is no trade-off in it; gifd-bench tradeoff MATRIX --output "
            f"{subject.run.path} makes one"
        )
    points = [point for point in read_points(file) if point.task == subject.finding.task]
    figure = Figure(figsize=(PAGE, COLUMN * SHAPE), layout="constrained")
    draw_tradeoff(points, figure)
    return figure


KINDS: dict[str, Callable[[FigureSubject], Figure]] = {
    "strip": strip,
    "curves": curves,
    "bars": bars,
    "tradeoff": tradeoff,
}


def _by_defense(panel: Axes, subject: FigureSubject, metric: ShownMetric) -> None:
    defenses = list(dict.fromkeys(s.group.defense for s in subject.summaries))
    attacks = _attacks(subject.summaries)
    width = 0.8 / len(attacks)
    for number, attack in enumerate(attacks):
        found = [
            (defenses.index(s.group.defense), interval)
            for s in subject.summaries
            if s.group.attack == attack and (interval := s.intervals[metric.name])
        ]
        panel.bar(
            [place + (number - (len(attacks) - 1) / 2) * width for place, _ in found],
            [interval.mean for _, interval in found],
            width,
            yerr=reaches([interval for _, interval in found]),
            color=color(number),
            error_kw={"elinewidth": 0.6, "capsize": 1.5},
            label=subject.names.attack(attack),
        )
    panel.set_xticks(range(len(defenses)), [subject.names.defense(defense) for defense in defenses])


def _by_strength(panel: Axes, subject: FigureSubject, metric: ShownMetric, axis: ParameterAxis) -> None:
    for number, attack in enumerate(_attacks(subject.summaries)):
        mine = [s for s in subject.summaries if s.group.attack == attack]
        by_label = {s.group.defense: i for s in mine if (i := s.intervals[metric.name])}
        points: list[tuple[float, Interval]] = [
            (x, by_label[label]) for label, x in axis.values.items() if label in by_label
        ]
        name = subject.names.attack(attack)
        line(panel, number, name, [x for x, _ in points], [interval for _, interval in points])
        for s in mine:
            plain = s.intervals[metric.name]
            if plain and is_undefended(s.group.rows[0].cell.defense):
                panel.axhline(plain.mean, color=color(number), linestyle=":", linewidth=0.8)
    if axis.logarithmic:
        panel.set_xscale("log")
    panel.set_xlabel(f"{axis.title} (dotted: no defense)")


def _course(panels: Sequence[Axes], subject: FigureSubject, number: int, course: AttackCourse) -> None:
    for panel, read in zip(panels, ("psnr", "identified"), strict=False):
        points = [(p.gradient_evaluations, y) for p in course.points if (y := getattr(p, read)) is not None]
        panel.plot(
            [x for x, _ in points],
            [y for _, y in points],
            marker=MARKERS[number % len(MARKERS)],
            color=color(number),
            label=subject.names.attack(course.attack),
        )


def _attacks(summaries: Sequence[Summary]) -> list[str]:
    return list(dict.fromkeys(s.group.attack for s in summaries))


def _legend(figure: Figure, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
