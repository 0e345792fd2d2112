"""A process that ends when its parent process ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with_parent(parent: int) -> None:
    """On Linux, let this process get SIGTERM when its parent process ends, for whatever reason.

    On other systems, only a parent that has already ended is noticed.

    Args:
        parent: the process id of the parent, which may have ended by now.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        # It ended before the system was asked.
        os.kill(os.getpid(), signal.SIGTERM)
