"""Sizes and fonts of figures in a two-column paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gifd_bench.benchmark.report.drawing import COLORS
from gifd_bench.benchmark.statistics.interval import Interval
from gifd_bench.common.files import written_whole

# In inches, as in the templates of CVPR, NeurIPS' proceedings and IEEE.
COLUMN, PAGE = 3.3, 6.9
FORMATS = ("pdf", "svg", "png")
MARKERS = "osD^P*v"
DPI = 300
SETTINGS: Any = {
    "font.family": "serif",
    "font.serif": ["Times New Roman", "Times", "Nimbus Roman", "STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.4,
    "grid.alpha": 0.4,
    # Letters stay letters: they can be searched, and a publisher asks for no bitmap fonts.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    # The same results give the same file.
    "svg.hashsalt": "gifd-bench",
}


def save(figure: Figure, path: Path, form: str) -> None:
    """Write a figure.

    Args:
        figure: a figure that was drawn within `matplotlib.rc_context(SETTINGS)`.
        path: the path of the file.
        form: one of `FORMATS`.

    Raises:
        StorageError: it cannot be written.
    """
    dated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(form)
    with written_whole(path) as partial:
        figure.savefig(partial, format=form, dpi=DPI, metadata=dated)


def line(
    axes: Axes,
    number: int,
    name: str,
    x: Sequence[float],
    intervals: Sequence[Interval],
    joined: bool = True,
) -> None:
    """Means with whiskers to the ends of their intervals, with a line through them if `joined`."""
    axes.errorbar(
        x,
        [interval.mean for interval in intervals],
        yerr=reaches(intervals),
        linestyle="-" if joined else "none",
        marker=MARKERS[number % len(MARKERS)],
        color=color(number),
        elinewidth=0.6,
        capsize=1.5,
        label=name,
    )


def color(number: int) -> str:
    """The color of the attack at a position."""
    return COLORS[number % len(COLORS)]


def reaches(intervals: Sequence[Interval]) -> list[list[float]]:
    """How far intervals reach below and above their means, in the form of matplotlib."""
    below = [0.0 if i.low is None else i.mean - i.low for i in intervals]
    above = [0.0 if i.high is None else i.high - i.mean for i in intervals]
    return [below, above]
