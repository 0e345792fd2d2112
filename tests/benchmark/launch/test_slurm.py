"""A matrix on a real Slurm: preempted, queued again, killed, drained, it ends as if nothing had been."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gifd_bench.benchmark.launch.local import LocalLauncher
from gifd_bench.benchmark.launch.slurm import SlurmSettings, submit
from gifd_bench.benchmark.launch.status import RunStatus, StatusReader
from gifd_bench.benchmark.launch.worker import WorkerSettings
from gifd_bench.benchmark.results.claims import read_claim
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from tests.benchmark.helpers import reconstructions, tiny_matrix
from tests.benchmark.launch.cluster import cluster, missing, run, wait_until

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
SETTINGS = WorkerSettings(checkpoint_seconds=0.2)


@pytest.fixture
def slurm() -> Iterator[None]:
    folder = Path("/tmp") / f"gifd-bench-slurm-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with cluster(folder):
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def states(job: str) -> str:
    return subprocess.run(["squeue", "-h", "-j", job, "-o", "%T"], capture_output=True, text=True).stdout


@pytest.mark.slow
def test_every_cell_ends_done_once_with_the_bytes_of_a_local_run(slurm: None, tmp_path: Path) -> None:
    matrix = tiny_matrix(
        tmp_path,
        attacks={"ig": {"iterations": 150}, "gifd": {"iterations": 12}},
        targets=[0, 1, 2, 3, 4, 5],
    )
    assert len(list(matrix.cells())) == 24
    local, remote = RunFolder(tmp_path / "local"), RunFolder(tmp_path / "remote")
    for folder in (local, remote):
        folder.open_for(matrix)
    assert LocalLauncher(2, SETTINGS).run(local, lambda _: None, lambda: False)

    jobs = submit(remote, SlurmSettings(parallel=2, chunk=6, minutes=5), SETTINGS)
    array = jobs[0].split("_")[0]
    reader = StatusReader(remote)

    def ended(cells: int) -> bool:
        return reader.read().ended >= cells

    def inside_a_cell() -> bool:
        return any(cell.iteration > 0 for cell in reader.read().running)

    wait_until(lambda: ended(2) and inside_a_cell(), 120)
    # Preempted: an urgent job wants the whole node for a moment.
    run("sbatch", "-p", "urgent", "-n", "2", "--wrap", "sleep 2", "-o", "/dev/null")
    wait_until(lambda: "PENDING" in states(array) or ended(24), 60)
    wait_until(lambda: ended(6) and inside_a_cell(), 180)
    # Queued again by an administrator.
    running = run("squeue", "-h", "-t", "R", "-r", "-o", "%A").split()
    run("scontrol", "requeue", running[0])
    wait_until(lambda: ended(10) and inside_a_cell(), 180)
    # Killed without warning.
    victim = next(claim for _, cell in remote.cells() if not cell.ended() and (claim := read_claim(cell)))
    os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: ended(14), 180)
    # The node is drained, its jobs queued again, and comes back.
    host = run("hostname", "-s").strip()
    run("scontrol", "update", f"nodename={host}", "state=drain", "reason=test")
    for job in run("squeue", "-h", "-t", "R", "-r", "-o", "%A").split():
        subprocess.run(["scontrol", "requeue", job], check=False, capture_output=True)
    run("scontrol", "update", f"nodename={host}", "state=resume")
    # A job that was killed is not queued again by Slurm: what it left is run by the same command.
    wait_until(lambda: ended(24) or not states(array).strip(), 240)
    if not ended(24):
        submit(remote, SlurmSettings(parallel=2, chunk=6), SETTINGS)
        wait_until(lambda: ended(24), 180)

    assert [row.reason for row in rows_of(remote) if row.status != "done"] == []
    assert reconstructions(tmp_path / "remote") == reconstructions(tmp_path / "local")
    logs = [cell.log.read_text().splitlines() for _, cell in remote.cells()]
    for lines in logs:
        assert sum(line.endswith(" done") for line in lines) == 1, lines
    # What stopped them was real: told in time they wrote a checkpoint, and went on from one.
    events = [line.split(" ", 4)[-1] for lines in logs for line in lines]
    assert events.count("is interrupted") >= 1
    assert events.count("goes on") >= 2


@pytest.mark.slow
def test_status_needs_nobody_who_submitted(slurm: None, tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path, attacks={"ig": {"iterations": 30}})
    folder = RunFolder(tmp_path / "out")
    folder.open_for(matrix)
    submit(folder, SlurmSettings(chunk=2), SETTINGS)
    statuses: list[RunStatus] = []

    def done() -> bool:
        statuses.append(StatusReader(RunFolder(tmp_path / "out")).read())
        return statuses[-1].counts["done"] == 2

    wait_until(done, 90)
    assert statuses[0].counts["queued"] + statuses[0].counts["running"] > 0
    assert all(status.cells == 2 for status in statuses)


def ended_once(folder: RunFolder) -> None:
    """Every cell is done, and was done once."""
    assert {cell.status() for _, cell in folder.cells()} == {"done"}
    for _, cell in folder.cells():
        lines = cell.log.read_text().splitlines()
        assert sum(line.endswith(" done") for line in lines) == 1, lines


def states_of_tasks(array: str) -> dict[str, str]:
    """The state of each job of an array that Slurm still knows, by its own id."""
    shown = subprocess.run(
        ["scontrol", "show", "job", "-o", array], capture_output=True, text=True
    ).stdout.splitlines()
    fields = [dict(part.split("=", 1) for part in line.split() if "=" in part) for line in shown]
    return {job["JobId"]: job["JobState"] for job in fields if "ArrayTaskId" in job}


def process_of(job: str) -> int | None:
    """The Python of a job that has not come to its cells yet."""
    for line in run("ps", "-eo", "pid,args").splitlines():
        pid, _, command = line.strip().partition(" ")
        if "submitit.core._submit" in command and "python" in command.split()[0]:
            environment = Path(f"/proc/{pid}/environ")
            try:
                if f"SLURM_JOB_ID={job}\0" in environment.read_text():
                    return int(pid)
            except OSError:
                continue
    return None


@pytest.mark.slow
def test_a_job_that_is_killed_before_it_has_begun_is_queued_again(slurm: None, tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path, attacks={"ig": {"iterations": 5}}, defenses={"none": None})
    folder = RunFolder(tmp_path / "out")
    folder.open_for(matrix)
    (job,) = submit(folder, SlurmSettings(), SETTINGS)
    array = job.split("_")[0]
    wait_until(lambda: "RUNNING" in states(array), 60)
    (own,) = run("squeue", "-h", "-j", array, "-r", "-o", "%A").split()
    wait_until(lambda: process_of(own) is not None, 30)
    os.kill(process_of(own) or 0, signal.SIGKILL)
    wait_until(lambda: StatusReader(folder).read().ended == 1, 180)
    assert "Restarts=1" in run("scontrol", "show", "job", "-o", own)
    ended_once(folder)


@pytest.mark.nightly
def test_twenty_jobs_signaled_in_their_first_seconds(slurm: None, tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path, attacks={"ig": {"iterations": 1500}}, targets=list(range(10)))
    folder = RunFolder(tmp_path / "out")
    folder.open_for(matrix)
    array = submit(folder, SlurmSettings(parallel=4, chunk=1), SETTINGS)[0].split("_")[0]
    dice = random.Random(0)
    due: dict[str, float] = {}
    signaled: list[str] = []
    end = time.monotonic() + 1500
    while StatusReader(folder).read().ended < 20 and time.monotonic() < end:
        for job, state in states_of_tasks(array).items():
            if state == "RUNNING" and job not in due:
                # Half of it is start-up.
                due[job] = time.monotonic() + dice.uniform(0, 20)
            if state == "RUNNING" and job not in signaled and time.monotonic() > due[job]:
                kind = dice.choice(["USR1", "USR2", "requeue"])
                signaled.append(job)
                command = (
                    ["scontrol", "requeue", job] if kind == "requeue" else ["scancel", "-s", kind, job]
                )
                subprocess.run(command, check=False, capture_output=True)
        if not states(array).strip():
            break
        time.sleep(0.2)
    ended_once(folder)
    assert len(signaled) >= 10
