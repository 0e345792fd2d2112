"""A worker: a process that runs cells of a folder until none is left for it.

Launchers start `python -m gifd_bench.benchmark.launch.worker FOLDER`, which needs nothing except the
folder.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentParser

from gifd_bench.benchmark.bench import Limits
from gifd_bench.benchmark.display import Display
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.benchmark.launch.progress_file import ProgressFile
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.runner import Runner, StopRequest
from gifd_bench.benchmark.tracking.registry import TRACKERS
from gifd_bench.common.errors import ExitStatus, UserError
from gifd_bench.common.parent import end_with_parent
from gifd_bench.common.terminal import say


@dataclass(frozen=True)
class WorkerSettings:
    """The settings of every worker of a run.

    Attributes:
        tracker: a registered name.
        cell_seconds: time limit of a cell; `None` for no limit.
        memory_gib: the largest amount of data that a worker may hold; `None` for no limit.
        checkpoint_seconds: the time between two checkpoints of an inversion.
        most: cells that a worker runs before it ends; `None` for all that are left.
        start: position of the cell with which it begins, as in `Runner.run_all`; those before it come last.
        pack: the largest number of cells, which differ only in their target, that share an inversion.
    """

    tracker: str = "none"
    cell_seconds: float | None = None
    memory_gib: float | None = None
    checkpoint_seconds: float = 30.0
    most: int | None = None
    start: int = 0
    pack: int = 1

    def command(self, folder: Path) -> list[str]:
        """The command line of a worker."""
        options = [f"--{name}={value}" for name, value in asdict(self).items() if value is not None]
        return [sys.executable, "-m", "gifd_bench.benchmark.launch.worker", str(folder), *options]


def run_cells(
    run: RunFolder,
    matrix: Matrix,
    settings: WorkerSettings,
    with_file: Callable[[Display], Display] = lambda file: file,
    ends_process: bool = True,
) -> bool:
    """Run cells in this process until none is left for it; return false if it was asked to stop.

    Args:
        run: the run folder, opened for the matrix.
        matrix: the matrix.
        settings: the settings of the worker; memory is not limited here.
        with_file: makes the display, from one that writes to the cells' folders.
        ends_process: whether a cell that hangs beyond its limit ends this process.
    """
    torch.set_num_threads(run.threads)
    pl.seed_everything(0, verbose=False)
    limits = Limits(settings.cell_seconds, settings.checkpoint_seconds, ends_process)
    with StopRequest() as stop:
        file = ProgressFile(lambda: [folder.progress for folder in runner.bench.current])
        runner = Runner(run, TRACKERS[settings.tracker](), with_file(file), stop, limits, settings.pack)
        try:
            runner.run_all(matrix, settings.most, settings.start)
        except (InversionInterrupted, KeyboardInterrupt):
            return False
    return True


def work(folder: Path, settings: WorkerSettings) -> int:
    """Run cells until none is left.

    Returns:
        The exit status: `DONE`, or `INTERRUPTED` if it was asked to stop.
    """
    if settings.memory_gib is not None:
        limit = int(settings.memory_gib * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    run = RunFolder(folder)
    return ExitStatus.DONE if run_cells(run, run.load_matrix(), settings) else ExitStatus.INTERRUPTED


def main() -> int:
    """Entry point of the process."""
    parser = ArgumentParser(prog="gifd-bench worker", allow_abbrev=False)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parent", type=int, help="process to end with")
    parser.add_class_arguments(WorkerSettings)
    options = vars(parser.parse_args())
    folder, parent = options.pop("folder"), options.pop("parent")
    if parent is not None:
        end_with_parent(parent)
    try:
        return work(folder, WorkerSettings(**options))
    except UserError as error:
        say(f"gifd-bench: {error}")
        return ExitStatus.USER_ERROR


if __name__ == "__main__":
    sys.exit(main())
