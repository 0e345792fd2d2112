"""The program inside of the sandbox: one attack on one observation.

It runs as a file of its own, beside the packages that attacks need; nothing of the leaderboard is there. It
writes a byte, `READY`, to its standard output, and then the answer as safetensors.
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
    from gifd_bench.benchmark.oracle.asking import Oracle
    from gifd_bench.tasks.observation import Observation

FOLDER = Path("/sandbox")
PACKAGES = FOLDER / "packages"
PROGRAM = FOLDER / "child.py"
OBSERVATION = FOLDER / "observation.safetensors"
SOURCE = FOLDER / "attack.py"
WEIGHTS = FOLDER / "weights"
TEMPORARY = Path("/tmp")

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
    """Run the job on standard input."""
    job = json.load(sys.stdin)
    answer_fd = os.dup(1)
    # What the attack prints is no part of the answer.
    os.dup2(2, 1)
    observation, oracle = _prepare(job)
    os.write(answer_fd, READY)
    if not job["submitted"]:
        _check_attack(job["attack"])
    try:
        answer = _as_bytes(_attack(job, observation, oracle))
        with os.fdopen(answer_fd, "wb") as file:
            file.write(answer)
    except BaseException as error:
        _end(SAID, f"raised {type(error).__name__}: {' '.join(str(error).split())}")
    # Without what the attack may have put off to the end of the process.
    os._exit(0)


def _prepare(job: dict[str, Any]) -> tuple[Observation, Oracle]:
    """Import everything that is needed, and only then limit what this process may use."""
    sys.path.insert(0, str(PACKAGES))
    # Nothing can be written, so that a place must be named for the search of one not to fail, and for
    # matplotlib, which torchmetrics imports, to keep its settings. timm does without wandb where it is
    # missing, which makes a folder when it is imported.
    tempfile.tempdir = str(TEMPORARY)
    tempfile.mkdtemp = lambda *_, **__: str(TEMPORARY)  # type: ignore[assignment]
    sys.modules["wandb"] = None  # type: ignore[assignment]
    import pytorch_lightning as pl
    import torch

    from gifd_bench.benchmark.attacks.registry import ATTACKS
    from gifd_bench.benchmark.oracle.asking import Oracle
    from gifd_bench.benchmark.oracle.channel import Channel
    from gifd_bench.tasks.observation_file import load_observation

    for name in ATTACKS.bundled:
        # What the submitted class builds on is imported before memory is limited.
        ATTACKS.attack_class(name)
    observation = load_observation(OBSERVATION)
    torch.set_num_threads(1)
    pl.seed_everything(0, verbose=False)
    oracle = Oracle(Channel(*job["oracle"]))
    oracle.wait()
    _limit(job["memory_bytes"], job["seconds"])
    _forbid(bytes.fromhex(job["filter"]))
    return observation, oracle


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


def _attack(job: dict[str, Any], observation: Observation, oracle: Oracle) -> Reconstruction:
    from gifd_bench.benchmark.invert import invert
    from gifd_bench.benchmark.matrix.component import Component

    # Before the submitted code is imported: a file that is no generator never meets it.
    prior = Component.from_config("prior", job["prior"]).build() if job["prior"] else None
    attack = Component.from_config("attack", job["attack"]).build()
    return invert(attack, observation, prior, job["seed"], accelerator="cpu", oracle=oracle)


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
