"""The images that tests take from the folder of the user, where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifd_bench.tasks.datasets.root import VARIABLE, find_folder
from gifd_bench.tasks.errors import TaskError


def need(*places: str) -> Path:
    """The first of these that is a folder below the data root; if there is none, the test is skipped."""
    named = " or ".join(places)
    try:
        return find_folder("test", None, places, named)
    except TaskError:
        pytest.skip(f"needs the environment variable {VARIABLE} to name a folder that holds {named}")
