"""The folder in the user's cache in which everything is kept."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "GIFD_BENCH_CACHE"


def cache_folder(option: Path | None = None) -> Path:
    """The cache folder: the given one, else that of GIFD_BENCH_CACHE, else one in the user's cache.

    The last is `gifd-bench` in the folder that XDG_CACHE_HOME names, or in ~/.cache.
    """
    of_user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return option or Path(os.environ.get(VARIABLE) or of_user / "gifd-bench")
