"""The one folder of the user's cache that everything here is kept in."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "GIFD_BENCH_CACHE"


def cache_folder(option: Path | None = None) -> Path:
    """The folder given, else the environment's GIFD_BENCH_CACHE, else gifd-bench in the user's cache:
    XDG_CACHE_HOME, or ~/.cache."""
    of_user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return option or Path(os.environ.get(VARIABLE) or of_user / "gifd-bench")
