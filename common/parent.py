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
    _ask_for(signal.SIGTERM)
    if os.getppid() != parent:
        # It ended before the system was asked.
        os.kill(os.getpid(), signal.SIGTERM)


def outlive_parent() -> None:
    """Take back what `end_with_parent` asked for.

    Linux may send the signal more than once, because the threads of a parent end one after another, and a
    child passes from each to the next. A process that needs time to end calls this at the first signal.
    """
    _ask_for(0)


def _ask_for(number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
