"""A real Slurm cluster of one node, on this machine, as root, for as long as a test runs."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1,sched_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=urgent Nodes={host} State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str | None:
    """Why there can be no cluster here; null if there can."""
    for program in ("sbatch", "slurmctld", "slurmd", "munged"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            return f"{program} is not installed (Debian: slurm-wlm munge)"
    return None if getpass.getuser() == "root" else "starting Slurm takes root"


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Start Slurm, with its commands set to it, and end it with all its jobs."""
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    configuration = folder / "slurm.conf"
    ports = {"port": _free_port(), "node_port": _free_port()}
    configuration.write_text(CONFIGURATION.format(host=host, folder=folder, **ports))
    path = os.environ["PATH"]
    os.environ |= {"SLURM_CONF": str(configuration), "PATH": f"{path}:/usr/sbin"}
    munge = folder / "munge"
    try:
        _start_munge(munge)
        run("slurmctld", "-i", "-f", str(configuration))
        run("slurmd", "-f", str(configuration), "-N", host)
        wait_until(lambda: "idle" in run("sinfo", "-h", "-o", "%T"), 30)
        yield
    finally:
        subprocess.run(["scancel", "-u", "root"], check=False, capture_output=True)
        with suppress(AssertionError, subprocess.CalledProcessError):
            # Else what runs the jobs' steps waits for daemons that are gone.
            wait_until(lambda: not run("squeue", "-h").strip(), 15)
            time.sleep(1)
        for name in ("slurmd.pid", "slurmctld.pid", "munge/pid"):
            _kill(folder / name)
        os.environ["PATH"] = path
        del os.environ["SLURM_CONF"]


def run(*command: str) -> str:
    """The output of a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wait_until(condition: object, seconds: float) -> None:
    """Wait for a condition, a function without arguments."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def _start_munge(folder: Path) -> None:
    # munged insists on folders that only its user can write to, all the way up.
    folder.mkdir(mode=0o755)
    for parent in folder.parents:
        if parent != Path("/tmp") and parent != Path("/"):
            parent.chmod(0o755)
    key = folder / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    names = {
        "socket": "socket",
        "pid-file": "pid",
        "log-file": "log",
        "seed-file": "seed",
        "key-file": "key",
    }
    run("munged", "--force", *(f"--{option}={folder / name}" for option, name in names.items()))


def _kill(pid_file: Path) -> None:
    if pid_file.is_file():
        subprocess.run(["kill", "-9", pid_file.read_text().strip()], check=False, capture_output=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
