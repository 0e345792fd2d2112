"""The command that runs `child.py` in a sandbox of bubblewrap."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gifd_bench.leaderboard.rerun import child
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunRefused
from gifd_bench.leaderboard.rerun.job import RerunJob, RerunLimits
from gifd_bench.leaderboard.rerun.oracle import OracleProcess
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
    """A sandbox for one job.

    Attributes:
        observation: the file that is attacked.
        job: what is run.
        limits: the limits of time and memory.
        view: what Python needs.
    """

    observation: Path
    job: RerunJob
    limits: RerunLimits
    view: View = field(default_factory=lambda: python_view(child.PACKAGES))

    def command(self, arguments_fd: int) -> list[str]:
        """The command line, which the processes of the sandbox may read: it names nothing on this machine.

        Args:
            arguments_fd: the descriptor of a file with `arguments`.

        Raises:
            RerunRefused: there is no bubblewrap.
        """
        bubblewrap = shutil.which("bwrap")
        if bubblewrap is None:
            raise RerunRefused(f"rerun: there is no sandbox here, and nothing is run without: {INSTALL}")
        return [bubblewrap, "--args", str(arguments_fd), sys.executable, "-I", "-B", str(child.PROGRAM)]

    def arguments(self, filter_fd: int) -> bytes:
        """What bubblewrap has to do, in the form in which it reads it from a file.

        Args:
            filter_fd: the descriptor of a file with the filter of system calls.

        Raises:
            RerunFailed: the job names something that does not exist.
        """
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
        return (None, {}) if self.job.prior is None else move_weights(self.job.prior, child.WEIGHTS)

    def _own_files(self) -> dict[Path, Path]:
        files = {
            child.OBSERVATION: self.observation.resolve(),
            child.PROGRAM: Path(child.__file__).resolve(),
        }
        if self.job.source is not None:
            # A link would show whatever it leads to.
            if not stat.S_ISREG(_mode(self.job.source)):
                raise RerunFailed(f"{self.job.source}: the attack's source is no plain file")
            files[child.SOURCE] = self.job.source.resolve()
        return files

    def job_text(self, oracle: OracleProcess, filter_: bytes) -> bytes:
        """What `child.py` reads from its standard input.

        Args:
            oracle: the oracle, which it asks for gradients.
            filter_: the filter of system calls for the submitted code.
        """
        return json.dumps(
            {
                "attack": dict(self.job.attack),
                "prior": self._moved()[0],
                "oracle": [oracle.reading, oracle.writing],
                "filter": filter_.hex(),
                "seed": self.job.seed,
                "submitted": self.job.source is not None,
                "memory_bytes": self.limits.memory_bytes,
                "seconds": self.limits.seconds,
            }
        ).encode()


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except (OSError, ValueError):
        return 0
