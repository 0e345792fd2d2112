"""Claims, by which each cell is run by one process at a time, on any number of machines."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import ClassVar

from filelock import FileLock, Timeout
from pydantic import ConfigDict

from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.record import STRICT, CellProgress, read_record, write_record
from gifd_bench.common.errors import FileError
from gifd_bench.common.files import make_folder

# A process that dies over a cell leaves it to the next one. If this many processes in a row have died
# over a cell, and none got further than the ones before, the cell itself is to blame.
DEATHS = 5


@dataclass(frozen=True)
class Claim:
    """Who runs a cell, according to its file.

    Attributes:
        host, pid: the host and the id of the process.
        job: the job of the cluster, if there is one.
        since: seconds since the epoch.
        deaths: how many processes in a row have died while they ran the cell, without getting further.
        furthest: the furthest iteration that they reached.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    host: str
    pid: int
    job: str | None
    since: float
    deaths: int = 0
    furthest: int = 0


@contextmanager
def claimed(folder: CellFolder) -> Iterator[Claim | None]:
    """Claim a cell; `None` if another process has it.

    The claim is a lock on a file, which the system releases when a process dies, on a shared file system
    too. After getting it, check again whether the cell has ended in the meantime.
    """
    make_folder(folder.path)
    lock = FileLock(folder.lock, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        yield None
        return
    try:
        claim = _succeed(folder)
        if not folder.ended():
            write_record(claim, folder.claim)
        yield claim
    finally:
        # A process that dies does not come here: its claim stays, and is counted.
        with suppress(OSError):
            folder.claim.unlink(missing_ok=True)
        lock.release()


def _succeed(folder: CellFolder) -> Claim:
    """A claim of this process, which counts the death of one that left its claim behind."""
    job = os.environ.get("SLURM_JOB_ID")
    mine = Claim(socket.gethostname(), os.getpid(), job, time.time())
    before = read_claim(folder)
    if before is None:
        return mine
    reached = read_progress(folder).iteration
    further = reached > before.furthest
    return Claim(
        mine.host,
        mine.pid,
        mine.job,
        mine.since,
        deaths=1 if further else before.deaths + 1,
        furthest=max(reached, before.furthest),
    )


def read_claim(folder: CellFolder) -> Claim | None:
    """The claim on a cell, held or left behind; `None` if there is none."""
    try:
        return read_record(Claim, folder.claim)
    except FileError:
        return None


def read_progress(folder: CellFolder) -> CellProgress:
    """What the process that runs a cell last wrote about its inversion; zeros if there is nothing."""
    try:
        return read_record(CellProgress, folder.progress)
    except FileError:
        return CellProgress()
