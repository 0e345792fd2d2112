"""`gifd-bench sync`: upload W&B runs that were kept as files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.tracking.guarded import Guarded
from gifd_bench.benchmark.tracking.wandb import WandbTracker
from gifd_bench.benchmark.tracking.wandb_settings import has_login
from gifd_bench.benchmark.tracking.wandb_sync import UploadFailed, upload, waiting
from gifd_bench.common.errors import ExitStatus


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench sync",
        description="Upload every W&B run below FOLDER that was kept as files and has not been uploaded. "
        "Runs of cells that have not ended are left for later.",
        allow_abbrev=False,
    )
    command.add_argument("folder", type=Path, help="output folder of a run, or one with several below it")
    command.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="time limit of each run; default: %(default)s",
    )
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 if some runs could not be uploaded."""
    options = parser().parse_args(arguments)
    if not options.folder.is_dir():
        raise BenchmarkError(f"{options.folder}: not a folder")
    files, not_yet = waiting(options.folder)
    later = f"; {not_yet} of cells that have not ended are left for later" if not_yet else ""
    if not files:
        sys.stdout.write(f"nothing to upload below {options.folder}{later}\n")
        return 0
    if not has_login():
        raise BenchmarkError(
            f"no W&B login: `wandb login`, or set WANDB_API_KEY; {len(files)} runs are waiting below "
            f"{options.folder}{later}"
        )
    _bring_summary_up_to_date(RunFolder(options.folder))
    files, _ = waiting(options.folder)
    sent = 0
    with Progress(
        TextColumn("uploading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    ) as progress:
        bar = progress.add_task("", total=len(files))

        def tell(more: int) -> None:
            nonlocal sent
            sent += more
            progress.advance(bar, more)

        reason = None
        try:
            upload(files, options.timeout, tell)
        except UploadFailed as error:
            reason = str(error)
    if reason is not None:
        sys.stderr.write(
            f"gifd-bench: {sent} of {len(files)} runs uploaded, then: {reason}; the same command "
            "continues\n"
        )
        return ExitStatus.FAILED
    sys.stdout.write(f"{sent} runs uploaded{later}\n")
    return 0


def _bring_summary_up_to_date(folder: RunFolder) -> None:
    """Write the summary again, for cells that ended after the last process that wrote it."""
    if folder.matrix.is_file():
        Guarded(WandbTracker(offline=True)).summarize(folder)
