"""`gifd-bench show`: print the results of a run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from gifd_bench.benchmark.commands.damage import tell_damage
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.results.rows import Row, rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.results.tables import as_csv, as_json, as_markdown, cell_lines, mean_table
from gifd_bench.common.terminal import write

TEXTS: dict[str, Callable[[Sequence[Row]], str]] = {
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
}

# Nobody reads a table of more cells.
MOST_CELLS = 1000


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench show", description="Print one row for each cell.", allow_abbrev=False
    )
    command.add_argument("folder", type=Path, help="output folder of a run")
    command.add_argument("--format", choices=["table", *TEXTS], default="table")
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 if a cell is damaged."""
    options = parser().parse_args(arguments)
    folder = RunFolder(options.folder)
    rows = rows_of(folder)
    if options.format in TEXTS:
        write(TEXTS[options.format](rows))
    else:
        console = Terminal()
        if len(rows) <= MOST_CELLS:
            write(f"{cell_lines(rows, console.width if console.is_terminal else None)}\n")
            console.print(mean_table(rows))
        else:
            console.print(mean_table(rows))
            console.print(f"{len(rows)} cells are too many for a table; every one: --format csv or json")
    return tell_damage(folder, rows)
