"""The console of every command."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from gifd_bench.common.terminal import printable


class Terminal(Console):
    """rich's console, whose printed texts cannot control the terminal.

    Labels, names and reasons come from files and from other people's code. The colors of rich are kept.
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)
