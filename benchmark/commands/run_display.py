"""Live display of a run whose cells other processes run."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gifd_bench.benchmark.commands.durations import duration
from gifd_bench.benchmark.launch.status import Running, RunStatus

WORDS = ("queued", "running", "silent", "done", "failed", "skipped", "damaged")


class StatusDisplay:
    """A bar over the cells with rate and time left, and a line for every cell that is running."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._began: tuple[float, int] | None = None
        self._told = -1

    def __enter__(self) -> StatusDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, status: RunStatus) -> None:
        """Show how far the run is."""
        now = time.monotonic()
        self._began = self._began or (now, status.ended)
        began, ended = self._began
        rate = (status.ended - ended) / (now - began) if now > began else 0.0
        if self._console.is_terminal:
            self._live.update(Group(_bar(status, rate), _running(status.running)), refresh=True)
        elif status.ended != self._told:
            self._told = status.ended
            self._console.print(_words(status), markup=False, highlight=False)


def _bar(status: RunStatus, rate: float) -> Table:
    left = (status.cells - status.ended) / rate if rate else None
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        ProgressBar(total=max(1, status.cells), completed=status.ended, width=30),
        _words(status),
        f"{60 * rate:.1f} cells/min" if rate else "",
        f"{duration(left)} left" if left is not None and status.ended < status.cells else "",
    )
    return grid


def _words(status: RunStatus) -> str:
    parts = [f"{status.counts[word]} {word}" for word in WORDS if status.counts[word]]
    return f"{status.ended} of {status.cells} cells: {', '.join(parts)}"


def _running(running: tuple[Running, ...]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for cell in running:
        where = cell.claim.host if cell.claim.job is None else f"{cell.claim.host}, job {cell.claim.job}"
        grid.add_row(
            Text(f"  {cell.title}"),
            ProgressBar(total=max(1, cell.iterations), completed=cell.iteration, width=20),
            f"{cell.iteration}/{cell.iterations or '?'}",
            f"{cell.rate:.1f} it/s" if cell.rate else "",
            Text(where),
            f"silent for {duration(cell.silent)}" if cell.silent > 60 else "",
        )
    return grid
