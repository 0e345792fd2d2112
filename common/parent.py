"""A process that ends with the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with_parent(parent: int) -> None:
    """Get SIGTERM when the process that started this one ends, however it does; on Linux.

    Elsewhere only a parent that has ended already is noticed.

    Args:
        parent: id of that process, which may have ended by now.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        # It ended before the system was asked.
        os.kill(os.getpid(), signal.SIGTERM)
