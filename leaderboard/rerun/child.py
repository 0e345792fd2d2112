"""The program inside of the sandbox: attacks of one submission, one observation after another.

It runs as a file of its own, beside the packages that attacks need; nothing of the leaderboard is there.
Its first process imports what every attack needs, and nothing that was submitted. For each job that it is
handed, it makes a process, which keeps nothing but the descriptors of this job, limits itself, and only
then runs the attack. That process writes a byte, `READY`, and then the answer as safetensors; the first
one waits for its end, and reports its status.
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import os
import resource
import socket
import sys
import tempfile
import time
import traceback
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
    from gifd_bench.tasks.observation import Observation

FOLDER = Path("/sandbox")
PACKAGES = FOLDER / "packages"
PROGRAM = FOLDER / "child.py"
SOURCE = FOLDER / "attack.py"
WEIGHTS = FOLDER / "weights"
TEMPORARY = Path("/tmp")

# The message with which the descriptors of a job come, and how many there are: those of `_run`.
JOB, OF_A_JOB = b"job", 5
# From here on the submitted code runs; what goes wrong before is not its fault.
READY = b"+"
# The exit status where the last line of standard error says what the attack did.
SAID = 70
# The exit status where a registered attack cannot be made as ordered; the last line says why.
NOT_MADE = 71
OPEN_FILES = 64
SPARE_SECONDS = 5
# What the attack would have answered earlier: the names of two tensors of the answer, and the most such
# answers, which is three in each decade of evaluations, and some to spare.
EARLIER_IMAGES, EARLIER_EVALUATIONS = "earlier_images", "earlier_evaluations"
MOST_EARLIER = 40
# Of address space, more than torch maps.
MOST_MAPPED = 1 << 40
# linux/prctl.h and linux/seccomp.h.
NO_NEW_PRIVILEGES, SET_FILTER, FILTER_MODE = 38, 22, 2


def main() -> None:
    """Run the jobs that come over the socket of this number, until none can come any more."""
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=int(sys.argv[1]))
    _import_everything()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, len(JOB), OF_A_JOB)
        if not message:
            os._exit(0)
        process = os.fork()
        if process == 0:
            try:
                _run(*descriptors)
            except BaseException:
                # What went wrong before the attack began.
                traceback.print_exc()
            finally:
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)
        _, status = os.waitpid(process, 0)
        os.write(control.fileno(), str(os.waitstatus_to_exitcode(status)).encode())


def _import_everything() -> None:
    """Import what attacks build on, before memory is limited."""
    sys.path.insert(0, str(PACKAGES))
    # Nothing can be written, so that a place must be named for the search of one not to fail, and for
    # matplotlib, which torchmetrics imports, to keep its settings. timm does without wandb where it is
    # missing, which makes a folder when it is imported.
    tempfile.tempdir = str(TEMPORARY)
    tempfile.mkdtemp = lambda *_, **__: str(TEMPORARY)  # type: ignore[assignment]
    sys.modules["wandb"] = None  # type: ignore[assignment]
    import gifd_bench.benchmark.invert
    import gifd_bench.benchmark.matrix.component
    import gifd_bench.tasks.observation_file  # noqa: F401
    from gifd_bench.benchmark.attacks.registry import ATTACKS

    for name in ATTACKS.bundled:
        ATTACKS.attack_class(name)


def _run(job_fd: int, reading: int, writing: int, answer_fd: int, said_fd: int) -> NoReturn:
    """Run a job in a process of its own, and end it.

    Args:
        job_fd: a file with the job.
        reading: the pipe from its oracle.
        writing: the pipe to its oracle.
        answer_fd: takes the answer.
        said_fd: takes what it says, and what the attack prints, which is no part of the answer.
    """
    os.dup2(said_fd, 1)
    os.dup2(said_fd, 2)
    with os.fdopen(job_fd, "rb") as file:
        job = json.load(file)
    # Above all the socket over which jobs come.
    kept = sorted({2, reading, writing, answer_fd, resource.getrlimit(resource.RLIMIT_NOFILE)[0]})
    for low, high in pairwise(kept):
        os.closerange(low + 1, high)
    observation = _prepare(job, reading, writing)
    os.write(answer_fd, READY)
    if not job["submitted"]:
        _check_attack(job["attack"])
    try:
        answer = _as_bytes(_attack(job, observation))
        with os.fdopen(answer_fd, "wb") as file:
            file.write(answer)
    except BaseException as error:
        _end(SAID, f"raised {type(error).__name__}: {' '.join(str(error).split())}")
    # Without what the attack may have put off to the end of the process.
    os._exit(0)


def _prepare(job: dict[str, Any], reading: int, writing: int) -> Observation:
    """Wait for the oracle, and limit what this process may use."""
    import pytorch_lightning as pl
    import torch

    from gifd_bench.benchmark.oracle.asking import Oracle
    from gifd_bench.benchmark.oracle.channel import Channel

    torch.set_num_threads(1)
    # Python's own generator starts anew in every process.
    pl.seed_everything(0, verbose=False)
    observation = Oracle(Channel(reading, writing)).observation()
    _limit(job["memory_bytes"], job["seconds"])
    _forbid(bytes.fromhex(job["filter"]))
    return observation


def _limit(memory_bytes: int, seconds: float) -> None:
    """Set the limits of this process, which it cannot raise again.

    Memory is limited as address space, the one limit that includes shared mappings. Most of what torch maps
    is its own code, so the limit is on what is added. Wall-clock time is watched outside; the limit of CPU
    time is a second safeguard.
    """
    mapped = _mapped()
    cpu_seconds = math.ceil(time.process_time() + seconds) + SPARE_SECONDS
    for kind, value in (
        (resource.RLIMIT_AS, mapped + memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def _mapped() -> int:
    """The bytes of address space in use, to within a MiB.

    There is no /proc from which to read it, so it is the lowest limit under which one more page fits.
    """
    low, high = 0, MOST_MAPPED
    while high - low > 1 << 20:
        middle = (low + high) // 2
        resource.setrlimit(resource.RLIMIT_AS, (middle, resource.RLIM_INFINITY))
        try:
            mmap.mmap(-1, mmap.PAGESIZE).close()
            high = middle
        except OSError:
            low = middle
    return high


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_char_p))


def _forbid(filter_: bytes) -> None:
    """Apply a filter of system calls, which holds from here on.

    There can be no new program, no change of limits, and nothing that the filter does not list.
    """
    program = _Program(len(filter_) // 8, filter_)
    libc = ctypes.CDLL(None, use_errno=True)
    # A filter is for processes that can gain no rights.
    for arguments in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SET_FILTER, FILTER_MODE, ctypes.byref(program))):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "the filter of system calls is not taken")


def _check_attack(attack: dict[str, Any]) -> None:
    """End the process if there is no such registered attack, or it does not take these options."""
    from gifd_bench.benchmark.matrix.component import Component
    from gifd_bench.common.errors import UserError, one_line

    try:
        Component.from_config("attack", attack).build()
    except UserError as error:
        _end(NOT_MADE, one_line(error))


def _end(status: int, line: str) -> NoReturn:
    """Print a line and end the process, without running what the attack may have deferred to its end."""
    sys.stderr.write(f"\n{line}\n")
    sys.stderr.flush()
    os._exit(status)


def _attack(job: dict[str, Any], observation: Observation) -> Reconstruction:
    from gifd_bench.benchmark.invert import invert
    from gifd_bench.benchmark.matrix.component import Component

    # Before the submitted code is imported: a file that is no generator never meets it.
    prior = Component.from_config("prior", job["prior"]).build() if job["prior"] else None
    attack = Component.from_config("attack", job["attack"]).build()
    return invert(attack, observation, prior, job["seed"], accelerator="cpu")


def _as_bytes(answer: Reconstruction) -> bytes:
    import torch
    from safetensors.torch import save

    # What it would have been before; `earlier.py` reads it.
    before = answer.anytime[-MOST_EARLIER:]
    earlier = {}
    if before:
        marks = [one.gradient_evaluations for one in before]
        earlier[EARLIER_IMAGES] = torch.stack([one.images.detach().cpu() for one in before])
        earlier[EARLIER_EVALUATIONS] = torch.tensor(marks, dtype=torch.int64)
    return save(
        {
            **earlier,
            "images": answer.images.detach().cpu().contiguous(),
            "labels": answer.labels.detach().cpu().contiguous(),
        }
    )


if __name__ == "__main__":
    main()
