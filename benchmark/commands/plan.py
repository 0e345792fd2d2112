"""`gifd-bench plan`: what a matrix is, what is left of it, and what that costs; nothing is written."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from gifd_bench.benchmark.commands.durations import duration
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.matrix.config_files import find_config, read_yaml
from gifd_bench.benchmark.matrix.needs import Need, needs
from gifd_bench.benchmark.matrix.unmet import unmet
from gifd_bench.benchmark.matrix.workload import Load, workload
from gifd_bench.benchmark.results.record import DAMAGED
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.common.tables import Column, FittedTable

EPILOG = """any field of the configuration can be set here, as for `gifd-bench run`"""
TO_RUN = "to run"
STATUSES = (TO_RUN, "done", "failed", "skipped")
WIDTH = 120


@dataclass(frozen=True)
class Planned:
    """A cell, its status, and why it is skipped or has failed."""

    cell: Cell
    status: str
    reason: str | None = None
    evaluations: int = 0
    seconds: float = 0.0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench plan",
        description="Count the cells of a matrix, estimate their cost, and list what is missing. Nothing "
        "is written, and nothing is downloaded.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    command.add_argument("config", help="a YAML file, or the name of a bundled one (see `gifd-bench list`)")
    command.add_argument("--output", type=Path, help="folder of a run, whose cells are taken into account")
    command.add_argument(
        "--measure", action="store_true", help="time a few iterations of what no cell of the run has timed"
    )
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 if something is missing or damaged."""
    options, overrides = parser().parse_known_args(arguments)
    matrix = load_matrix(options.config, overrides)
    folder = _existing(options.output, matrix) if options.output else None
    cells = [_planned(cell, folder) for cell in matrix.cells()]
    waiting = [planned.cell for planned in cells if planned.status == TO_RUN]
    wanted = needs(matrix, waiting, _observed(waiting, folder), opened=True)
    loads = workload(waiting, _rates(cells), options.measure)

    console = Terminal()
    # A narrow terminal may wrap lines; a number cut in two is of no use.
    console.width = max(console.width, WIDTH)
    description = str(read_yaml(find_config(options.config)).get("description", ""))
    _print_line(console, f"{matrix.name}: {description}".rstrip(": "))
    console.print(_axes(cells))
    _print_reasons(console, cells)
    if loads:
        console.print(_costs(loads))
        _print_totals(console, loads, options.measure)
    return _print_needs(console, wanted)


def _existing(path: Path, matrix: Matrix) -> RunFolder:
    """The folder of a run of this matrix; anything else is the error that `gifd-bench run` would report."""
    folder = RunFolder(path)
    folder.load_matrix()
    folder.open_for(matrix)
    return folder


def _planned(cell: Cell, folder: RunFolder | None) -> Planned:
    outcome = folder.cell(cell).outcome() if folder is not None else None
    if isinstance(outcome, str):
        return Planned(cell, DAMAGED, outcome)
    if outcome is not None:
        if outcome.status == "done":
            return Planned(cell, "done", None, outcome.gradient_evaluations or 0, outcome.seconds or 0.0)
        return Planned(cell, outcome.status, outcome.reason)
    reason = unmet(cell)
    return Planned(cell, "skipped" if reason else TO_RUN, reason)


def _observed(cells: Sequence[Cell], folder: RunFolder | None) -> frozenset[str]:
    """The ids of the observations that the run has already made."""
    if folder is None:
        return frozenset()
    rounds = {cell.observation_id: cell for cell in cells}
    return frozenset(name for name, cell in rounds.items() if folder.observation(cell).is_file())


def _rates(cells: Sequence[Planned]) -> dict[tuple[str, str], float]:
    """Seconds of a gradient evaluation by task and attack, from the cells that are done."""
    spent: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0])
    for planned in cells:
        if planned.status == "done":
            total = spent[planned.cell.task.label, planned.cell.attack.label]
            total[0] += planned.seconds
            total[1] += planned.evaluations
    return {key: seconds / evaluations for key, (seconds, evaluations) in spent.items() if evaluations}


def _axes(cells: Sequence[Planned]) -> FittedTable:
    """Counts by axis and status."""
    statuses = (*STATUSES, *({planned.status for planned in cells} - {*STATUSES}))
    counted = [Column(heading, number=True) for heading in (*statuses, "cells")]
    table = FittedTable([Column("axis"), Column(""), *counted])
    for axis in ("task", "defense", "prior", "attack"):
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for planned in cells:
            part = getattr(planned.cell, axis)
            counts[part.label if part else "–"][planned.status] += 1
        for number, (label, found) in enumerate(counts.items()):
            table.add_row("" if number else axis, label, *_numbers(found, statuses))
    for axis in ("target", "seed"):
        numbers = sorted({getattr(planned.cell, axis) for planned in cells})
        several = f"{len(numbers)} {axis}s, from {numbers[0]} to {numbers[-1]}"
        text = several if len(numbers) > 1 else str(numbers[0])
        table.add_row(axis, text, *[""] * len(counted))
    table.add_row(
        "all", "", *_numbers(Counter(planned.status for planned in cells), statuses), style="bold"
    )
    return table


def _numbers(counts: Counter[str], statuses: Sequence[str]) -> list[str]:
    return [*(f"{counts[status]:,}" for status in statuses), f"{sum(counts.values()):,}"]


def _print_reasons(console: Console, cells: Sequence[Planned]) -> None:
    reasons = Counter((planned.status, planned.reason) for planned in cells if planned.reason)
    for (status, reason), count in reasons.items():
        _print_line(console, f"{status}: {count:,}: {reason}")


def _costs(loads: Sequence[Load]) -> FittedTable:
    words = [Column(name) for name in ("task", "attack", "prior")]
    numbers = ("cells", "evaluations a cell", "ms an evaluation", "time")
    table = FittedTable([*words, *(Column(name, number=True) for name in numbers)], "to run")
    for load in loads:
        cell = load.cell
        table.add_row(
            cell.task.label,
            cell.attack.label,
            cell.prior.label if cell.prior else "–",
            f"{load.cells:,}",
            "?" if load.evaluations is None else f"{load.evaluations:,}",
            "?" if load.seconds is None else f"{1000 * load.seconds:.3g}",
            "?" if load.total_seconds is None else duration(load.total_seconds),
        )
    return table


def _print_totals(console: Console, loads: Sequence[Load], measured: bool) -> None:
    evaluations = [load.total_evaluations for load in loads]
    seconds = [load.total_seconds for load in loads]
    lines = [f"gradient evaluations: about {sum(e for e in evaluations if e is not None):,}"]
    uncounted = sum(load.cells for load in loads if load.evaluations is None)
    if uncounted:
        lines[0] += f", and those of {uncounted:,} cells that depend on what is missing"
    timed = sum(s for s in seconds if s is not None)
    untimed = sum(load.cells for load in loads if load.total_seconds is None)
    if timed:
        lines.append(f"time: about {duration(timed)}, one cell after the other")
        if untimed:
            lines[1] += f", and that of {untimed:,} cells of which nothing is known"
    else:
        advice = "nothing that is here can be timed" if measured else "--measure times a few iterations"
        lines.append(f"time: not known; {advice}")
    for line in lines:
        _print_line(console, line)


def _print_needs(console: Console, wanted: Sequence[Need]) -> int:
    """Print what is not on this machine, and return the exit status."""
    missing = [need.text for need in wanted if not need.fetched and not need.damaged]
    damaged = [need.text for need in wanted if need.damaged]
    fetched = [need.text for need in wanted if need.fetched]
    for title, texts in (
        ("missing:", missing),
        ("damaged, so that the cells that need it will fail:", damaged),
        ("downloaded when first used:", fetched),
    ):
        for line in [title, *(f"  - {text}" for text in texts)] if texts else []:
            _print_line(console, line)
    if not missing and not damaged:
        _print_line(
            console, "everything that it needs is here" if not fetched else "nothing else is missing"
        )
    return 1 if missing or damaged else 0


def _print_line(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
