"""The command that runs `child.py` in a sandbox of bubblewrap."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gifd_bench.leaderboard.rerun import child
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunRefused
from gifd_bench.leaderboard.rerun.order import Order, RerunLimits
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
    """A sandbox for one order.

    Attributes:
        observation: the file that is attacked.
        order: what is run.
        limits: of time and memory.
        view: what Python needs.
    """

    observation: Path
    order: Order
    limits: RerunLimits
    view: View = field(default_factory=lambda: python_view(child.PACKAGES))

    def command(self, filter_fd: int) -> list[str]:
        """The command line.

        Args:
            filter_fd: of a file with the filter of system calls.

        Raises:
            RerunRefused: there is no bubblewrap.
            RerunFailed: the order names what is not there.
        """
        bubblewrap = shutil.which("bwrap")
        if bubblewrap is None:
            raise RerunRefused(f"rerun: there is no sandbox here, and nothing is run without: {INSTALL}")
        prior, weights = None, dict[Path, Path]()
        if self.order.prior is not None:
            prior, weights = move_weights(self.order.prior, child.WEIGHTS)
        shown = View({}, {**self._own_files(), **weights}, ())
        return [
            bubblewrap,
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            *("--cap-drop", "ALL"),
            "--clearenv",
            *(word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)),
            *self.view.arguments(),
            *shown.arguments(),
            *("--dir", str(child.TEMPORARY)),
            *("--proc", "/proc", "--dev", "/dev", "--chdir", str(child.FOLDER)),
            # Nothing can be written. To root, even the kernel's settings in /proc/sys would else be open.
            *(word for place in ("/proc", "/dev", "/") for word in ("--remount-ro", place)),
            *("--seccomp", str(filter_fd)),
            *(sys.executable, "-I", "-B", str(child.PROGRAM), self._order_text(prior)),
        ]

    def _own_files(self) -> dict[Path, Path]:
        files = {
            child.OBSERVATION: self.observation.resolve(),
            child.PROGRAM: Path(child.__file__).resolve(),
        }
        if self.order.source is not None:
            # A link would show whatever it leads to.
            if not stat.S_ISREG(_mode(self.order.source)):
                raise RerunFailed(f"{self.order.source}: the attack's source is no plain file")
            files[child.SOURCE] = self.order.source.resolve()
        return files

    def _order_text(self, prior: dict[str, Any] | None) -> str:
        return json.dumps(
            {
                "attack": dict(self.order.attack),
                "prior": prior,
                "seed": self.order.seed,
                "submitted": self.order.source is not None,
                "memory_bytes": self.limits.memory_bytes,
                "seconds": self.limits.seconds,
            }
        )


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except (OSError, ValueError):
        return 0
