"""The part of `gifd-bench run` for Slurm."""

from __future__ import annotations

import argparse
import time

from rich.console import Console

from gifd_bench.benchmark.commands.run_display import StatusDisplay
from gifd_bench.benchmark.launch.slurm import SlurmSettings, submit
from gifd_bench.benchmark.launch.status import StatusReader
from gifd_bench.benchmark.launch.worker import WorkerSettings
from gifd_bench.benchmark.results.run_folder import RunFolder

SECONDS = 2.0


def add_slurm_options(group: argparse._ArgumentGroup) -> None:
    """Options for the fields of `SlurmSettings`."""
    default = SlurmSettings()
    for name in ("partition", "account", "qos", "constraint"):
        group.add_argument(f"--{name}", help="as sbatch's")
    group.add_argument(
        "--time", type=int, metavar="MINUTES", default=default.minutes, help="time limit of a job"
    )
    group.add_argument("--cpus", type=int, help="processors of a job; default: the threads of the run")
    group.add_argument("--gpus", type=int, default=default.gpus, help="GPUs of a job")
    group.add_argument("--job-memory", type=float, metavar="GIB", help="memory of a job")
    group.add_argument("--parallel", type=int, default=default.parallel, help="jobs at a time")
    group.add_argument(
        "--chunk",
        type=int,
        help="cells of a job; default: about ten minutes of them, by the cells that are done",
    )
    group.add_argument(
        "--notice",
        type=int,
        metavar="SECONDS",
        default=default.notice,
        help="before the time of a job is over",
    )
    group.add_argument("--no-wait", action="store_true", help="end when the jobs are submitted")


def run_on_slurm(
    options: argparse.Namespace, settings: WorkerSettings, folder: RunFolder, console: Console
) -> bool:
    """Submit the missing cells and show the progress.

    Ctrl-C ends only the display: the jobs go on.

    Returns:
        True when all cells have ended, or without waiting.
    """
    slurm = SlurmSettings(
        partition=options.partition,
        account=options.account,
        qos=options.qos,
        constraint=options.constraint,
        minutes=options.time,
        cpus=options.cpus,
        gpus=options.gpus,
        memory_gib=options.job_memory,
        parallel=options.parallel,
        chunk=options.chunk,
        notice=options.notice,
    )
    jobs = submit(folder, slurm, settings)
    if not jobs:
        return True
    command = f"gifd-bench status {folder.path} --watch"
    console.print(f"{len(jobs)} jobs submitted, from {jobs[0]}; {command}", markup=False, soft_wrap=True)
    if options.no_wait:
        return True
    reader = StatusReader(folder)
    with StatusDisplay(console) as display:
        try:
            while True:
                status = reader.read()
                display.show(status)
                if status.ended == status.cells:
                    return True
                time.sleep(reader.pause(SECONDS))
        except KeyboardInterrupt:
            console.print(f"the jobs go on; scancel {jobs[0].split('_')[0]} ends them", markup=False)
            return False
