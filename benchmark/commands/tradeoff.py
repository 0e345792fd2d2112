"""`gifd-bench tradeoff`: what each strength of a defense hides, and what it costs."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from gifd_bench.benchmark.commands.run import run as run_matrix
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.commands.victim_options import add_training_options, training_from
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.matrix.task import TaskConfig
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.statistics.interval import Interval
from gifd_bench.benchmark.tradeoff.accuracy import Training, Trainings
from gifd_bench.benchmark.tradeoff.chart import write_chart
from gifd_bench.benchmark.tradeoff.finding import sentence
from gifd_bench.benchmark.tradeoff.points import Point, points_of
from gifd_bench.common.errors import ExitStatus
from gifd_bench.common.files import write_text
from gifd_bench.common.tables import Column, FittedTable
from gifd_bench.tasks.training.utility import check_accountant

EPILOG = """any field of the configuration can be set here; a list for an option that takes none is a sweep:
  gifd-bench tradeoff demo --output runs/t --defenses.noise.std='[1e-4, 1e-3, 1e-2, 1e-1]'"""
HEAD = ("task", "defense", "kind", "strength", "attack", "best", "images")
SHARES = ("identified", "ssim", "psnr", "accuracy")


@dataclass(frozen=True)
class TradeoffSettings:
    """What the command is asked for, besides the matrix.

    Attributes:
        seeds: the number of trainings of each setting.
        held_out: the number of images with which a victim is evaluated; `None` for all.
        training_seconds: limit of the processor time of one training; `None` for no limit.
        distractors: the number of images among which a private one is to be found.
        most: the share of the images that may be identified.
    """

    seeds: int
    held_out: int | None
    training_seconds: float | None
    distractors: int
    most: float

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.distractors < 1 or (self.held_out is not None and self.held_out < 1):
            raise BenchmarkError("--training-seeds, --distractors and --held-out must be at least 1")
        if not 0 <= self.most <= 1:
            raise BenchmarkError(f"--identified must be a share from 0 to 1, not {self.most}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench tradeoff",
        description="Attack every target of a matrix under each of its defenses, train the victim under "
        "each of them with several seeds, and write what leaks under the best attack against the accuracy "
        "that is left: a table, a chart and one sentence. Give the command again to continue where it "
        "stopped.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("config", help="a YAML file, or the name of a bundled one (see `gifd-bench list`)")
    command.add_argument(
        "--output", type=Path, required=True, help="folder of the run and of the trade-off"
    )
    command.add_argument("--jobs", type=int, metavar="N", help="attacks at a time; see `gifd-bench run`")
    command.add_argument(
        "--training-seeds", type=int, default=6, metavar="N", help="trainings of each setting (default: 6)"
    )
    command.add_argument(
        "--held-out", type=int, metavar="N", help="evaluate victims with N images, not with all"
    )
    command.add_argument(
        "--training-time",
        type=float,
        metavar="SECONDS",
        help="processor time of one training, beyond which its setting has no accuracy",
    )
    command.add_argument(
        "--distractors",
        type=int,
        default=1000,
        metavar="N",
        help="other images of the dataset among which a private one is to be found (default: 1000)",
    )
    command.add_argument(
        "--identified",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="share of the images that an acceptable setting may give away (default: 0.05)",
    )
    add_training_options(command)
    return command


def run(arguments: list[str]) -> int:
    """Run the command.

    Returns:
        The exit status: 1 if a cell or a training failed, 130 after an interruption.
    """
    options, overrides = parser().parse_known_args(arguments)
    settings = TradeoffSettings(
        options.training_seeds,
        options.held_out,
        options.training_time,
        options.distractors,
        options.identified,
    )
    matrix = load_matrix(options.config, overrides)
    # Checked here, because the trainings begin only after the attacks.
    check_accountant(defense.build() for defense in matrix.defenses)
    jobs = [] if options.jobs is None else ["--jobs", str(options.jobs)]
    status = run_matrix([options.config, "--output", str(options.output), *jobs, *overrides])
    if status not in (ExitStatus.DONE, ExitStatus.FAILED):
        return status
    console = Terminal()
    folder = RunFolder(options.output)
    points: list[Point] = []
    try:
        for task in matrix.tasks:
            trainings = Trainings(
                options.output / "accuracy",
                task,
                training_from(options, task.settings.training),
                settings.held_out,
                settings.training_seconds,
            )
            accuracies = _train(trainings, matrix, task, settings, options.seed, console)
            points += points_of(folder, matrix, task, accuracies, settings.distractors)
    except KeyboardInterrupt:
        console.print(f"interrupted; the same command continues from {options.output}", markup=False)
        return ExitStatus.INTERRUPTED
    _write(points, matrix, settings, options.output, console)
    incomplete = any(point.failed or point.accuracy is None for point in points)
    return ExitStatus.FAILED if incomplete else ExitStatus.DONE


def _train(
    trainings: Trainings,
    matrix: Matrix,
    task: TaskConfig,
    settings: TradeoffSettings,
    first: int,
    console: Console,
) -> dict[str, list[Training]]:
    """Run every training, seed by seed; a setting that failed once is not tried with further seeds."""
    done: dict[str, list[Training]] = {defense.label: [] for defense in matrix.defenses}
    for seed in range(first, first + settings.seeds):
        for defense in matrix.defenses:
            before = done[defense.label]
            if any(one.reason for one in before):
                continue
            console.print(f"{task.label}, {defense.label}: training, seed {seed}", markup=False)
            before.append(trainings.run(defense, seed))
    return done


def _write(
    points: Sequence[Point], matrix: Matrix, settings: TradeoffSettings, folder: Path, console: Console
) -> None:
    write_text(folder / "tradeoff.csv", _csv(points))
    lines = []
    for task in matrix.tasks:
        mine = [point for point in points if point.task == task.label]
        console.print(_table(task.label, mine))
        lines.append(f"{task.label}: {sentence(mine, settings.most)}")
        for suffix in ("svg", "png"):
            write_chart(mine, folder / f"tradeoff-{task.label}.{suffix}")
    write_text(folder / "tradeoff.txt", "\n".join(lines) + "\n")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"table and charts: {folder}/tradeoff*", markup=False, soft_wrap=True)


def _table(title: str, points: Sequence[Point]) -> FittedTable:
    names = ("defense", "strength", "best attack", "identified", "SSIM", "PSNR", "accuracy", "epsilon")
    table = FittedTable([Column(name, optional=name in ("SSIM", "epsilon")) for name in names], title)
    for point in points:
        best = point.best
        table.add_row(
            point.kind,
            point.strength,
            best.attack if best else f"none ({point.failed} cells failed)",
            _shown(best.identified if best else None, ".0%"),
            _shown(best.ssim if best else None, ".2f"),
            _shown(best.psnr if best else None, ".1f"),
            _shown(point.accuracy, ".1%") if point.accuracy else (point.reason or "–"),
            "–" if point.epsilon is None else f"{point.epsilon:.3g}",
        )
    return table


def _shown(interval: Interval | None, form: str) -> str:
    if interval is None:
        return "–"
    if interval.low is None or interval.high is None:
        return format(interval.mean, form)
    return f"{interval.mean:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _csv(points: Sequence[Point]) -> str:
    """A row for each attack under each setting, the best attack first."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    ends = [f"{name}{end}" for name in SHARES for end in ("", "_low", "_high")]
    writer.writerow([*HEAD, *ends, "seeds", "epsilon", "failed_cells", "reason"])
    writer.writerows(row for point in points for row in _rows(point))
    return stream.getvalue()


def _rows(point: Point) -> Iterator[list[object]]:
    head = [point.task, point.defense, point.kind, point.strength]
    seeds = point.accuracy.n if point.accuracy else 0
    tail = [seeds, point.epsilon, point.failed, point.reason]
    for number, leak in enumerate(point.leaks):
        ends = [*_ends(leak.identified), *_ends(leak.ssim), *_ends(leak.psnr), *_ends(point.accuracy)]
        yield [*head, leak.attack, number == 0, leak.images, *ends, *tail]
    if not point.leaks:
        yield [*head, "", "", 0, *[""] * 9, *_ends(point.accuracy), *tail]


def _ends(interval: Interval | None) -> list[float | None]:
    if interval is None:
        return [None] * 3
    return [None if v is None else round(v, 6) for v in (interval.mean, interval.low, interval.high)]
