"""Where a result was made, and with which code."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from pathlib import Path

from gifd_bench.benchmark.results.record import Machine


@lru_cache(maxsize=1)
def commit() -> str | None:
    """The commit of the checkout that runs, with a plus if files differ from it.

    It is `None` for an installed package.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


@lru_cache(maxsize=1)
def machine() -> Machine:
    """The machine that this process computes on."""
    # Commands that only read results import this module too.
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return Machine(platform.node(), platform.machine(), device, torch.get_num_threads())


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
