"""Workers on a Slurm cluster, as jobs of an array."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from types import FrameType
from typing import Any

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.launch.batch_script import BEGUN, preparation, python_command
from gifd_bench.benchmark.launch.worker import WorkerSettings, work
from gifd_bench.benchmark.matrix.packs import by_kind
from gifd_bench.benchmark.results.record import CellRecord
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.runner import NOTICES
from gifd_bench.common.errors import ExitStatus, one_line
from gifd_bench.common.extras import SLURM

# The wall time for which a job is given cells, unless their number is given.
JOB_SECONDS = 600.0
# Slurm's own default of MaxArraySize; the highest index is one less.
DEFAULT_ARRAY = 1001


@dataclass(frozen=True)
class SlurmSettings:
    """What is requested from the cluster.

    Attributes:
        partition, account, qos, constraint: as in sbatch; `None` for the cluster's default.
        minutes: time limit of a job; when it is near, the job writes its checkpoint and is queued again.
        cpus: processors of a job; `None` for the threads of the run.
        gpus: GPUs of a job.
        memory_gib: memory of a job; `None` for the cluster's default.
        parallel: the largest number of jobs that run at the same time.
        chunk: cells that a job runs before it ends, so that small cells share a job. `None` for as many as
            take about ten minutes, judged by the cells of the run that are done, but no more than an equal
            share among the jobs that run at the same time; this share if no cell is done.
        notice: seconds before the time limit at which a job is told.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    minutes: int = 60
    cpus: int | None = None
    gpus: int = 0
    memory_gib: float | None = None
    parallel: int = 16
    chunk: int | None = None
    notice: int = 90

    def __post_init__(self) -> None:
        if (
            min(self.minutes, self.cpus or 1, self.parallel, self.chunk or 1, self.notice) < 1
            or self.gpus < 0
        ):
            raise BenchmarkError("time, cpus, parallel, chunk and notice must be at least 1, gpus 0")


@dataclass(frozen=True)
class SlurmJob:
    """What a job of the array does; queued again, it does the same, and cells continue."""

    folder: Path
    settings: WorkerSettings

    def __call__(self) -> int:
        # submitit's own handler would end the job in the middle of an iteration. Ours lets the worker
        # finish it, write the checkpoint, and then queues the job again.
        told: list[int] = []

        def stop(number: int, _: FrameType | None) -> None:
            told.append(number)
            os.kill(os.getpid(), signal.SIGTERM)

        # They are held back until the worker can stop; see `batch_script`.
        for number in NOTICES:
            signal.signal(number, stop)
        Path(os.environ[BEGUN]).touch()
        status = work(self.folder, self.settings)
        if status == ExitStatus.INTERRUPTED and told:
            requeue(os.environ["SLURM_JOB_ID"])
        return status


def submit(run: RunFolder, slurm: SlurmSettings, settings: WorkerSettings) -> list[str]:
    """Submit an array of jobs that runs every cell that has not ended.

    Args:
        run: the run folder, opened for its matrix, on a file system that the nodes share.
        slurm: what is requested from the cluster.
        settings: the settings of the workers.

    Returns:
        The ids of the jobs.

    Raises:
        BenchmarkError: there is no Slurm here, or it does not accept such a job.
        UserError: submitit is not installed.
    """
    SLURM.require("--launcher slurm")
    # Imported here, because only those who use Slurm install it.
    import submitit
    from submitit.core.utils import FailedJobError

    waiting = waiting_positions(run, settings.pack)
    if not waiting:
        return []
    chunk = slurm.chunk or chunk_of(run, len(waiting), slurm.parallel)
    chunk = -(-chunk // settings.pack) * settings.pack
    # Each job begins at cells of its own, so that no two look at the same ones.
    array = [
        SlurmJob(run.path.resolve(), replace(settings, most=chunk, start=position))
        for position in waiting[::chunk]
    ]
    # A new folder each time, because the ids of jobs begin again on a new cluster.
    logs = run.path / "slurm" / time.strftime("%Y%m%d-%H%M%S")
    parameters: dict[str, Any] = {
        "name": "gifd-bench",
        "timeout_min": slurm.minutes,
        "cpus_per_task": slurm.cpus or run.threads,
        "gpus_per_node": slurm.gpus or None,
        "mem_gb": slurm.memory_gib,
        "slurm_partition": slurm.partition,
        "slurm_account": slurm.account,
        "slurm_qos": slurm.qos,
        "slurm_constraint": slurm.constraint,
        "slurm_array_parallelism": slurm.parallel,
        "slurm_signal_delay_s": slurm.notice,
        "slurm_additional_parameters": {"requeue": True},
        "slurm_setup": preparation(logs),
    }
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster="slurm", slurm_python=python_command())
        executor.update_parameters(**{name: v for name, v in parameters.items() if v is not None})
        most = largest_array()
        parts = [array[first : first + most] for first in range(0, len(array), most)]
        return [job.job_id for part in parts for job in executor.map_array(run_job, part)]
    except (RuntimeError, OSError, ValueError, FailedJobError) as error:
        raise BenchmarkError(f"Slurm takes no such job: {one_line(error)}") from error


def chunk_of(run: RunFolder, waiting: int, parallel: int) -> int:
    """The number of cells for a job: as many as take about ten minutes, judged by the cells that are done.

    The seconds that a job takes to start are then few in comparison. While no cell is done, nothing is
    known about their pace, and each of the jobs that run at the same time gets an equal share, so that no
    job starts more often than it must. The number is never above this share, which would leave other jobs
    with nothing to do.

    Args:
        run: the run folder, opened for its matrix.
        waiting: cells that have not ended.
        parallel: jobs that run at the same time.
    """
    share = -(-waiting // parallel)
    outcomes = (folder.outcome() for _, folder in run.cells())
    records = (outcome for outcome in outcomes if isinstance(outcome, CellRecord))
    seconds = [record.seconds for record in records if record.status == "done" and record.seconds]
    return max(1, min(share, round(JOB_SECONDS / fmean(seconds)))) if seconds else share


def largest_array() -> int:
    """The largest number of jobs in an array here; Slurm's default if it does not say."""
    command = ["scontrol", "show", "config"]
    try:
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return DEFAULT_ARRAY
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", said, re.MULTILINE)
    return max(1, int(found.group(1))) if found else DEFAULT_ARRAY


def waiting_positions(run: RunFolder, pack: int) -> list[int]:
    """The positions of the cells that have not ended, as `Runner.run_all` counts them."""
    cells = [cell for cell, _ in run.cells()]
    if pack > 1:
        cells = by_kind(cells)
    waiting = {cell.id for cell in run.not_ended(cells)}
    return [position for position, cell in enumerate(cells) if cell.id in waiting]


def run_job(job: SlurmJob) -> int:
    """Run a job; this function is pickled by reference for the nodes."""
    return job()


def requeue(job: str) -> None:
    """Queue a job again."""
    subprocess.run(["scontrol", "requeue", job], check=False, capture_output=True, timeout=60)
