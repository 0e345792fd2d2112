"""`gifd-bench run`: run a matrix, or its missing cells."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.commands.damage import tell_damage
from gifd_bench.benchmark.commands.progress import ProgressDisplay
from gifd_bench.benchmark.commands.run_display import StatusDisplay
from gifd_bench.benchmark.commands.run_slurm import add_slurm_options, run_on_slurm
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.display import Both
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.launch.local import LocalLauncher, processors
from gifd_bench.benchmark.launch.worker import WorkerSettings, run_cells
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.matrix.needs import has_gpu, missing
from gifd_bench.benchmark.matrix.workload import workload
from gifd_bench.benchmark.report.page import write_report
from gifd_bench.benchmark.results.record import DAMAGED
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.results.tables import mean_table
from gifd_bench.benchmark.rounds import Rounds, retire_damaged
from gifd_bench.benchmark.runner import StopRequest
from gifd_bench.benchmark.tracking.guarded import Guarded
from gifd_bench.benchmark.tracking.registry import TRACKERS
from gifd_bench.common.errors import ExitStatus
from gifd_bench.common.extras import SLURM

EPILOG = """any field of the configuration can be set here, for example
  --attacks.ig.iterations=150  --targets='[0, 1, 2, 3]'  --attacks.gifd.radii=null
  --defenses.noise.std=0.1       --tasks.photos.threat_model.labels=known
an attack of your own: --attacks+=my_package.my_attack.MyAttack, or --attacks+=my_attack.py:MyAttack"""


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 if a cell failed or is damaged, and 130 if interrupted."""
    options, overrides = parser().parse_known_args(arguments)
    matrix = load_matrix(options.config, overrides)
    folder = RunFolder(options.output or Path("runs") / matrix.name)
    for name in ("jobs", "threads", "pack"):
        if (number := getattr(options, name)) is not None and number < 1:
            raise BenchmarkError(f"--{name} must be at least 1, not {number}")
    if options.launcher == "slurm":
        SLURM.require("--launcher slurm")
    # Before anything is written, options are refused that contradict each other or do not fit their
    # prior.
    workload(matrix.cells(), {})
    # The report shows labels, which may be others than when it was written.
    relabeled = folder.matrix.is_file() and folder.load_matrix().config() != matrix.config()
    folder.open_for(matrix, options.threads)
    console = Terminal()
    if options.retry is not None:
        _retry(options.retry, folder, console)
    # Before all else, so that a missing package of a tracker is an error of one line.
    tracker = Guarded(TRACKERS[options.tracker]())
    pending = folder.not_ended(matrix.cells())
    _check_needs(matrix, pending, folder)
    if not pending and folder.report.is_file():
        console.print(f"{folder.path}: every cell has ended already", markup=False, soft_wrap=True)
    all_ended = not pending or _run(options, matrix, folder, console, len(pending))
    tracker.summarize(folder)
    if not all_ended:
        console.print(f"interrupted; the same command continues from {folder.path}", markup=False)
        return ExitStatus.INTERRUPTED
    return _report(folder, console, write=bool(pending or options.retry) or relabeled)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench run",
        description="Run every cell of a matrix that has not ended yet, then write the report. The same "
        "command may run at the same time on several machines that share the output folder.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("config", help="a YAML file, or the name of a bundled one (see `gifd-bench list`)")
    command.add_argument("--output", type=Path, help="folder of the results; default: runs/NAME")
    command.add_argument("--tracker", choices=sorted(TRACKERS), default="none")
    command.add_argument("--retry", choices=["failed", DAMAGED], help="run these cells again")
    group = command.add_argument_group("in several processes")
    group.add_argument("--launcher", choices=["local", "slurm"], default="local")
    group.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="cells at a time, each in a process of its own; default: as many as there are processors, "
        "or one where there is a GPU",
    )
    group.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads of an operation on the CPU, for large victims; kept in the run folder (default: 1)",
    )
    group.add_argument(
        "--pack",
        type=int,
        metavar="N",
        default=1,
        help="attack up to N cells that differ only in their target as one inversion, which is several "
        "times faster for each; bytes differ from those of a cell alone, and are equal for equal packs "
        "(default: 1)",
    )
    group.add_argument("--cell-time", type=float, metavar="SECONDS", help="time limit of a cell")
    group.add_argument("--memory", type=float, metavar="GIB", help="data that a worker may hold")
    group.add_argument(
        "--checkpoint-every", type=float, metavar="SECONDS", default=30.0, help="default: %(default)s"
    )
    add_slurm_options(command.add_argument_group("on a Slurm cluster (--launcher slurm)"))
    return command


def _run(
    options: argparse.Namespace, matrix: Matrix, folder: RunFolder, console: Console, pending: int
) -> bool:
    """Run the missing cells; return false after an interruption."""
    settings = WorkerSettings(
        tracker=options.tracker,
        cell_seconds=options.cell_time,
        memory_gib=options.memory,
        checkpoint_seconds=options.checkpoint_every,
        pack=options.pack,
    )
    if options.pack > 1:
        _tell_unpacked(matrix, console)
    if options.launcher == "slurm":
        return run_on_slurm(options, settings, folder, console)
    jobs = options.jobs or (1 if has_gpu() else min(processors(), -(-pending // options.pack)))
    if jobs == 1 and options.memory is None:
        cells = sum(1 for _ in matrix.cells())
        with ProgressDisplay(console, cells, cells - pending) as bars:
            return run_cells(folder, matrix, settings, partial(Both, bars), ends_process=False)
    with StopRequest() as stop, StatusDisplay(console) as display:
        return LocalLauncher(jobs, settings).run(folder, display.show, stop)


def _tell_unpacked(matrix: Matrix, console: Console) -> None:
    """Report which attacks take one target at a time."""
    alone = [a.label for a in matrix.attacks if not ATTACKS.attack_class(a.name).may_pack()]
    if alone:
        console.print(f"one by one, because they cannot be packed: {', '.join(alone)}", markup=False)


def _retry(status: str, folder: RunFolder, console: Console) -> None:
    """Put results aside, so that their cells run again."""
    if status == "failed":
        folder.retire_failed()
        return
    with StopRequest() as stop, ProgressDisplay(console, 0, 0) as bars:
        retire_damaged(folder, Rounds(folder, bars, stop))


def _check_needs(matrix: Matrix, pending: Sequence[Cell], folder: RunFolder) -> None:
    """Name everything that the cells need and that is missing, before the first one runs."""
    observed = {cell.observation_id for cell in pending if folder.observation(cell).is_file()}
    lacking = missing(matrix, pending, observed, folder.threads)
    if lacking:
        listed = "".join(f"\n  {need}" for need in lacking)
        raise BenchmarkError(f"before the first cell can run, this is needed:{listed}")


def _report(folder: RunFolder, console: Console, write: bool) -> int:
    """Write the report, if it is to be written, and print the means."""
    rows = rows_of(folder)
    # A page that is there shows numbers that may be damaged by now.
    if write or not folder.report.is_file() or any(row.status == DAMAGED for row in rows):
        write_report(folder, rows)
    console.print(mean_table(rows))
    console.print(f"every cell: gifd-bench show {folder.path}", markup=False, soft_wrap=True)
    console.print(f"report: {folder.report.resolve()}", markup=False, soft_wrap=True)
    pending = sum(row.status == "pending" for row in rows)
    if pending:
        console.print(f"{pending} cells are left to other processes: gifd-bench status {folder.path}")
    failed = [row for row in rows if row.status == "failed"]
    for row in failed:
        console.print(f"failed: {row.id}: {row.reason}", markup=False, soft_wrap=True)
    damaged = tell_damage(folder, rows)
    return ExitStatus.FAILED if failed else damaged
