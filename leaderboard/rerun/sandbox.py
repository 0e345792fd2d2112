"""A sandbox of bubblewrap in which `child.py` runs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from gifd_bench.leaderboard.rerun import child, seccomp
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunRefused
from gifd_bench.leaderboard.rerun.job import RerunJob, RerunLimits, Submitted
from gifd_bench.leaderboard.rerun.process import MOST_SAID, end
from gifd_bench.leaderboard.rerun.visible import View, python_view
from gifd_bench.leaderboard.rerun.weights import move_weights

INSTALL = "install bubblewrap (apt-get install bubblewrap)"

# One thread is all there is: what asks for more would be ended by its own library.
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "HOME": str(child.FOLDER),
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    # torch makes this folder when it is imported, if it is not there; nothing can be made.
    "TORCHINDUCTOR_CACHE_DIR": str(child.TEMPORARY),
}


@dataclass(frozen=True)
class Sandbox:
    """A sandbox for the attacks of one submission.

    Attributes:
        submitted: what it shows of it.
        limits: the limits of time and memory of each attack.
        view: what Python needs.
    """

    submitted: Submitted
    limits: RerunLimits
    view: View = field(default_factory=lambda: python_view(child.PACKAGES))

    def start(self) -> SandboxProcess:
        """Start it.

        Raises:
            RerunRefused: there is no bubblewrap, or no filter of system calls.
            RerunFailed: the submission names something that does not exist.
        """
        at_start, afterwards = seccomp.programs()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Not a pipe, which somebody would have to empty.
        said = TemporaryFile()  # noqa: SIM115
        try:
            with (
                theirs,
                as_file(at_start) as filter_fd,
                as_file(self._arguments(filter_fd)) as arguments_fd,
            ):
                process = subprocess.Popen(
                    self._command(arguments_fd, theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    pass_fds=(filter_fd, arguments_fd, theirs.fileno()),
                    # Else the first process of the sandbox would show it, in /proc/1/environ.
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            said.close()
            raise
        return SandboxProcess(process, ours, said, afterwards)

    def _command(self, arguments_fd: int, control_fd: int) -> list[str]:
        """The command line, which the sandbox may read: it names nothing on this machine."""
        bubblewrap = shutil.which("bwrap")
        if bubblewrap is None:
            raise RerunRefused(f"rerun: there is no sandbox here, and nothing is run without: {INSTALL}")
        program = [sys.executable, "-I", "-B", str(child.PROGRAM), str(control_fd)]
        return [bubblewrap, "--args", str(arguments_fd), *program]

    def _arguments(self, filter_fd: int) -> bytes:
        """What bubblewrap has to do, in the form in which it reads it from a file."""
        shown = View({}, {**self._own_files(), **self._moved()[1]}, ())
        words = [
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            *("--cap-drop", "ALL"),
            "--clearenv",
            *(word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)),
            *self.view.arguments(),
            *shown.arguments(),
            *("--dir", str(child.TEMPORARY)),
            # No more of /proc is shown: it would show paths of this machine, and other processes. torch
            # chooses by the description of the processor how it computes, and so the last digits.
            *("--ro-bind", "/proc/cpuinfo", "/proc/cpuinfo"),
            *("--dev", "/dev", "--chdir", str(child.FOLDER)),
            # Nothing can be written.
            *(word for place in ("/dev", "/") for word in ("--remount-ro", place)),
            *("--seccomp", str(filter_fd)),
        ]
        return b"".join(os.fsencode(word) + b"\0" for word in words)

    def _moved(self) -> tuple[dict[str, Any] | None, dict[Path, Path]]:
        prior = self.submitted.prior
        return (None, {}) if prior is None else move_weights(prior, child.WEIGHTS)

    def _own_files(self) -> dict[Path, Path]:
        files, source = {child.PROGRAM: Path(child.__file__).resolve()}, self.submitted.source
        if source is not None:
            # A link would show whatever it leads to.
            if not stat.S_ISREG(_mode(source)):
                raise RerunFailed(f"{source}: the attack's source is no plain file")
            files[child.SOURCE] = source.resolve()
        return files

    def job_text(self, job: RerunJob, filter_: bytes) -> bytes:
        """What `child.py` reads of a job.

        Args:
            job: the job.
            filter_: the filter of system calls for the submitted code.
        """
        return json.dumps(
            {
                "attack": dict(job.attack),
                "prior": self._moved()[0],
                "filter": filter_.hex(),
                "seed": job.seed,
                "submitted": self.submitted.source is not None,
                "memory_bytes": self.limits.memory_bytes,
                "seconds": self.limits.seconds,
            }
        ).encode()


@dataclass(frozen=True)
class SandboxProcess:
    """A sandbox that runs.

    Attributes:
        process: bubblewrap, with which all processes of the sandbox end.
        control: the socket over which it is handed jobs, and reports the status of each.
        filter_: the filter of system calls for the submitted code.
    """

    process: subprocess.Popen[bytes]
    control: socket.socket
    _said: IO[bytes]
    filter_: bytes

    def hand(self, descriptors: Sequence[int]) -> None:
        """Hand it the descriptors of a job. If the sandbox has ended, whoever waits for the job notices."""
        with suppress(OSError):
            socket.send_fds(self.control, [child.JOB], descriptors)

    def said(self) -> bytearray:
        """The end of what it said itself, apart from its jobs."""
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - MOST_SAID))
        return bytearray(self._said.read())

    def close(self, at_once: bool) -> None:
        """End it.

        Args:
            at_once: whether something still runs in it that may not end.
        """
        self.control.close()
        if at_once:
            self.process.kill()
        end(self.process)
        self._said.close()


@contextmanager
def as_file(content: bytes) -> Iterator[int]:
    """The descriptor of a file in memory, at its start."""
    descriptor = os.memfd_create("rerun")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except (OSError, ValueError):
        return 0
