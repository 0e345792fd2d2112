"""`gifd-bench utility`: what each defense costs in accuracy."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.commands.victim_options import add_training_options, training_from, victim_data
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.config import load_matrix
from gifd_bench.common.errors import ExitStatus
from gifd_bench.common.files import write_json, write_text
from gifd_bench.common.tables import Column, FittedTable
from gifd_bench.tasks.models.check import check_model
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.training.images import load_images
from gifd_bench.tasks.training.utility import check_accountant, measure_utility

COLUMNS = ("task", "defense", "accuracy", "epsilon", "delta", "reason")
Row = dict[str, Any]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench utility",
        description="Train the victim of each task of a matrix once under each of its defenses, and print "
        "the accuracies on the test split (or on a tenth of the images, if there are no splits).",
        epilog="settings of the training are those of each task unless given here; any field can be set",
        allow_abbrev=False,
    )
    command.add_argument("config", help="a YAML file, or the name of a bundled one (see `gifd-bench list`)")
    command.add_argument("--output", type=Path, help="a .csv or .json file, rewritten after every training")
    add_training_options(command)
    return command


def run(arguments: list[str]) -> int:
    """Run the command.

    Returns:
        The exit status: 1 if no victim could be trained under a defense, 130 after an interruption.
    """
    options, overrides = parser().parse_known_args(arguments)
    output: Path | None = options.output
    if output is not None and (output.suffix not in WRITERS or not output.parent.is_dir()):
        raise BenchmarkError(f"{output}: a {' or '.join(WRITERS)} file in a folder that exists is expected")
    matrix = load_matrix(options.config, overrides)
    check_accountant(defense.build() for defense in matrix.defenses)
    rows: list[Row] = []
    console = Terminal()
    try:
        for task in matrix.tasks:
            training = training_from(options, task.settings.training)
            data = victim_data(task.dataset, options.seed)
            spec = ModelSpec(
                task.model.name, len(data.train.class_names), data.train.image_size, task.model.options
            )
            check_model(spec)
            train = load_images(data.train, training.limit, training.seed, progress=True)
            held_out = load_images(data.held_out, progress=True)
            for defense in matrix.defenses:
                console.print(f"{task.label}, {defense.label}", markup=False)
                found = measure_utility(spec, train, held_out, defense.build(), training, options.seed)
                rows.append({"task": task.label, "defense": defense.label, **asdict(found)})
                if output is not None:
                    WRITERS[output.suffix](output, rows)
    except KeyboardInterrupt:
        console.print("interrupted")
        return ExitStatus.INTERRUPTED
    console.print(_table(rows))
    return 1 if any(row["accuracy"] is None for row in rows) else 0


def _table(rows: Sequence[Row]) -> FittedTable:
    table = FittedTable([Column(name) for name in COLUMNS], "test accuracy")
    for row in rows:
        table.add_row(
            row["task"],
            row["defense"],
            _number(row["accuracy"], ".1%"),
            _number(row["epsilon"], ".3g"),
            _number(row["delta"], ".1g"),
            row["reason"] or "",
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, stream.getvalue())


def _write_json(path: Path, rows: Sequence[Row]) -> None:
    write_json(path, list(rows))


WRITERS: dict[str, Callable[[Path, Sequence[Row]], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
}
