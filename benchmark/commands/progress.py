"""A live progress display of a run."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from gifd_bench.benchmark.display import Display


class RateColumn(ProgressColumn):
    """Iterations per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} it/s" if task.speed else "", style="progress.data.speed")


class ProgressDisplay(Display):
    """A bar over the cells and one over the iterations of the current cell, with rate and time left."""

    def __init__(self, console: Console, cells: int, done: int) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._cells = self._bars.add_task("cells", total=cells, completed=done)
        self._iterations = self._bars.add_task("", total=None, visible=False)
        self._plain = not console.is_terminal

    def __enter__(self) -> ProgressDisplay:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, title: str, iterations: int) -> None:
        self._bars.reset(self._iterations, total=iterations, description=title, visible=True, start=True)

    def iterate(self, iteration: int) -> None:
        self._bars.update(self._iterations, completed=iteration)

    def end(self, title: str, status: str) -> None:
        self._bars.advance(self._cells)
        if self._plain or status != "done":
            self._bars.console.print(f"{title}: {status}", markup=False, highlight=False)
