"""The look of charts in a report: colors, symbols and axes, as plotly specifications."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from itertools import cycle
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]

from gifd_bench.benchmark.statistics.interval import Interval

# Okabe and Ito's palette, told apart by the color-blind too; of its black and yellow one or the other
# cannot be seen on a dark or a light page.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
HEIGHT = 340
# Every tick is written out, because plotly by itself writes 5 for 0.05.
LOG: Mapping[str, Any] = MappingProxyType({"type": "log", "tickformat": "~g"})
# One tick for each power of ten, with its number written out.
LOG_X: Mapping[str, Any] = MappingProxyType({"type": "log", "tickformat": "~g", "dtick": 1})
LINEAR: Mapping[str, Any] = MappingProxyType({})


class Look:
    """The look of each thing that is drawn, in every chart of a page.

    Args:
        names: the names of the things, by the key that filters use.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)
        self.colors = dict(zip(names, cycle(COLORS)))
        self.symbols = dict(zip(names, cycle(SYMBOLS)))

    def name(self, key: str) -> str:
        """The name of a thing, as text for plotly."""
        return escape(self._names[key])

    def line(
        self,
        key: str,
        x: Sequence[float] | Sequence[str],
        y: Sequence[float | None],
        hover: str,
        mode: str = "lines+markers",
        **more: Any,
    ) -> go.Scatter:
        """A line in the colors of an attack; `hover` is the text at a point."""
        return go.Scatter(
            name=self.name(key),
            meta={"attack": key},
            x=list(x),
            y=list(y),
            mode=mode,
            line={"color": self.colors[key], "width": 2},
            marker={"symbol": self.symbols[key], "size": 8},
            hovertemplate=f"%{{x}}: {hover}<extra>%{{fullData.name}}</extra>",
            **more,
        )


def whiskers(intervals: Sequence[Interval]) -> dict[str, Any]:
    """Error bars to the ends of intervals; none if there is no interval."""
    return {
        "type": "data",
        "array": [None if i.high is None else i.high - i.mean for i in intervals],
        "arrayminus": [None if i.low is None else i.mean - i.low for i in intervals],
        "visible": any(i.low is not None for i in intervals),
        "thickness": 1.2,
        "width": 3,
    }


def spec(
    traces: Sequence[Any],
    x: str,
    y: str,
    x_scale: Mapping[str, Any] = LINEAR,
    y_scale: Mapping[str, Any] = LINEAR,
) -> dict[str, Any]:
    """`data` and `layout` of plotly, as JSON values."""
    # Colors of text and lines are the style sheet's, which knows light, dark and print.
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
            "xaxis": {"title": _axis_title(x), "zeroline": False, "automargin": True, **x_scale},
            "yaxis": {"title": _axis_title(y), "zeroline": False, "automargin": True, **y_scale},
        },
    )
    found: dict[str, Any] = json.loads(figure.to_json())
    return found


def _axis_title(text: str) -> dict[str, Any]:
    return {"text": escape(text), "font": {"size": 13}, "standoff": 8}
