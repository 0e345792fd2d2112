"""Whether submitted attacks can be run again here."""

from __future__ import annotations

import functools
import shutil
import subprocess

from gifd_bench.leaderboard.rerun.errors import RerunRefused
from gifd_bench.leaderboard.rerun.seccomp import programs


@functools.cache
def sandbox_missing() -> str | None:
    """Why there is no sandbox here; null where there is one."""
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        return "bubblewrap is not installed"
    command = [bubblewrap, "--unshare-all", "--ro-bind", "/", "/", "true"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return "bubblewrap can make no namespaces here"
    try:
        programs()
    except RerunRefused as error:
        return str(error)
    return None
