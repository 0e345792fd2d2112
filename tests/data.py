"""The images that tests take from the folder of the user, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gifd_bench.tasks.datasets.root import VARIABLE


def need(place: str) -> Path:
    """A folder of the data root, or skip the test."""
    root = os.environ.get(VARIABLE)
    if not root or not Path(root, place).is_dir():
        pytest.skip(f"needs the environment variable {VARIABLE} to name a folder that holds {place}")
    return Path(root, place)
