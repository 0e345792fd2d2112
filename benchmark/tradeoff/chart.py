"""The trade-off as a chart: what a setting leaks against the accuracy that it leaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gifd_bench.benchmark.statistics.interval import Interval
from gifd_bench.benchmark.tradeoff.points import Leak, Point
from gifd_bench.common.files import written_whole

Read = Callable[[Leak], Interval]
MARKERS = "osD^vP*X<>"
SIZE = (9.5, 4.2)
DPI = 150
MARKER = 6  # the size of a marker in points
# Where the label of a point may be, from its center on, in points: nearer places are better.
PLACES = [(r * x, r * y) for r, x, y in product((1, 2, 3), (13, 0, -13), (9, 4.5, -4.5, -9)) if x or r > 1]


@dataclass(frozen=True)
class _Label:
    """The text beside a point, which is in data coordinates, with the ends of the bar of the point."""

    text: str
    color: str
    x: float
    y: float
    low: float
    high: float


def write_chart(points: Sequence[Point], path: Path) -> None:
    """Write the chart of one task; its format is the suffix of the path, such as .svg or .png.

    Raises:
        StorageError: it cannot be written.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    draw_tradeoff(points, figure)
    with written_whole(path) as partial:
        figure.savefig(partial, format=path.suffix.removeprefix("."), dpi=DPI)


def draw_tradeoff(points: Sequence[Point], figure: Figure) -> None:
    """Draw the points of one task: identification on the left, similarity on the right.

    Args:
        points: the points; those without an accuracy or a leak are left out.
        figure: an empty figure of any size.
    """
    left, right = figure.subplots(1, 2)
    drawn = [point for point in points if point.accuracy is not None and point.best is not None]
    labels_left = _draw(left, drawn, lambda leak: leak.identified)
    left.set_ylabel("images identified by the best attack")
    left.set_ylim(-0.12, 1.15)
    labels_right = _draw(right, drawn, lambda leak: leak.ssim)
    right.set_ylabel("SSIM under the best attack")
    right.set_ylim(-0.12, 1.15)
    for axes in (left, right):
        axes.set_xlabel("accuracy of the victim")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(alpha=0.3)
        axes.margins(x=0.12)
    left.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    # Only then is it known where the points lie on the page.
    figure.draw_without_rendering()
    _place(left, labels_left)
    _place(right, labels_right)


def _place(axes: Axes, labels: Sequence[_Label]) -> None:
    """Write each label near its point, where it covers no label, no marker and as few bars as possible."""
    if not labels:
        return
    scale = axes.figure.dpi / 72
    radius = MARKER / 2 * scale
    centers = axes.transData.transform([(label.x, label.y) for label in labels])
    taken = [Bbox.from_extents(x - radius, y - radius, x + radius, y + radius) for x, y in centers]
    bars = [
        Bbox(axes.transData.transform([(label.x, label.low), (label.x, label.high)])).padded(1)
        for label in labels
    ]
    for label, (x, y) in zip(labels, centers, strict=True):
        if not label.text:
            continue
        style: dict[str, Any] = {"fontsize": 7, "color": label.color, "ha": "center", "va": "center"}
        measured = axes.text(0, 0, label.text, **style)
        size = measured.get_window_extent()
        measured.remove()

        def box(place: tuple[float, float], x: float = x, y: float = y, size: Bbox = size) -> Bbox:
            middle_x, middle_y = x + place[0] * scale, y + place[1] * scale
            return Bbox.from_bounds(
                middle_x - size.width / 2, middle_y - size.height / 2, size.width, size.height
            )

        def cost(place: tuple[float, float]) -> float:
            there = box(place)
            outside = not (
                axes.bbox.contains(there.x0, there.y0) and axes.bbox.contains(there.x1, there.y1)
            )
            covered, crossed = there.count_overlaps(taken), there.count_overlaps(bars)
            return 1000 * outside + 100 * covered + 3 * crossed + math.hypot(*place) / 10

        best = min(PLACES, key=cost)
        far = math.hypot(*best) > 18
        axes.annotate(
            label.text,
            (label.x, label.y),
            best,
            textcoords="offset points",
            # A line to the point, where another one is as near.
            arrowprops={"arrowstyle": "-", "color": label.color, "linewidth": 0.5} if far else None,
            **style,
        )
        taken.append(box(best))


def _draw(axes: Axes, points: Sequence[Point], leak: Read) -> list[_Label]:
    labels = []
    kinds = list(dict.fromkeys(point.kind for point in points))
    for number, kind in enumerate(kinds):
        mine = [point for point in points if point.kind == kind]
        for position, (point, text) in enumerate(zip(mine, _differences(mine), strict=True)):
            labels.append(_one(axes, point, leak, number, text, kind if position == 0 else None))
    front = pareto(points, leak)
    axes.step(
        [point.accuracy.mean for point in front if point.accuracy],
        [leak(point.best).mean for point in front if point.best],
        # Whoever wants more accuracy than a point has takes the next one.
        where="pre",
        color="0.5",
        linewidth=1,
        linestyle="--",
        zorder=0,
        label="nothing better was found" if points else None,
    )
    return labels


def _differences(points: Sequence[Point]) -> list[str]:
    """The values of the options in which points of the same kind differ."""
    options = [point.strength.split(", ") for point in points]
    shared = set(options[0]).intersection(*options) if len(options) > 1 else set()
    return [", ".join(o.rsplit(" ", 1)[-1] for o in mine if o not in shared) for mine in options]


def _one(axes: Axes, point: Point, leak: Read, number: int, text: str, label: str | None) -> _Label:
    assert point.accuracy is not None
    assert point.best is not None
    value: Interval = leak(point.best)
    color = f"C{number % 10}"
    axes.errorbar(
        point.accuracy.mean,
        value.mean,
        xerr=_reach(point.accuracy),
        yerr=_reach(value),
        fmt=MARKERS[number % len(MARKERS)],
        color=color,
        elinewidth=0.7,
        capsize=2,
        markersize=MARKER,
        label=label,
    )
    low, high = (value.mean if end is None else end for end in (value.low, value.high))
    return _Label(text, color, point.accuracy.mean, value.mean, low, high)


def pareto(points: Sequence[Point], leak: Read) -> list[Point]:
    """The points that no other point beats both in accuracy and in what leaks, by increasing accuracy.

    Args:
        points: the points; those with an accuracy and a leak count.
        leak: reads the value of a leak; less is better for the defender.
    """
    pairs = [(p.accuracy.mean, leak(p.best).mean, p) for p in points if p.accuracy and p.best]
    front: list[Point] = []
    lowest = math.inf
    for _, leaked, point in sorted(pairs, key=lambda pair: (-pair[0], pair[1])):
        if leaked < lowest:
            front.append(point)
            lowest = leaked
    return front[::-1]


def _reach(interval: Interval) -> list[list[float]] | None:
    """How far an interval reaches below and above its mean, in the form of matplotlib."""
    if interval.low is None or interval.high is None:
        return None
    return [[interval.mean - interval.low], [interval.high - interval.mean]]
