"""The folder of a dataset on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gifd_bench.tasks.errors import TaskError

VARIABLE = "GIFD_BENCH_DATA"


def data_root(dataset: str, root: str | None, layout: str) -> Path:
    """The folder that holds all datasets: the option `root`, or else what the environment variable names.

    Args:
        dataset: its registered name, for the message.
        root: the option of that dataset.
        layout: which files belong where below the folder, for the message.

    Raises:
        TaskError: neither is set.
    """
    named = root or os.environ.get(VARIABLE)
    if not named:
        raise _missing(dataset, "no data folder is set", layout)
    return Path(named).expanduser()


def find_folder(dataset: str, root: str | None, places: Sequence[str], layout: str) -> Path:
    """The first of several places below the data root that is a folder.

    Args:
        dataset: its registered name, for the message.
        root: the option of that dataset.
        places: paths below the data root, the preferred one first.
        layout: which files belong where below the folder, for the message.

    Raises:
        TaskError: no data root is set, or none of the places exists.
    """
    base = data_root(dataset, root, layout)
    for place in places:
        if (base / place).is_dir():
            return base / place
    raise _missing(dataset, f"{base} holds no folder {' or '.join(places)}", layout)


def _missing(dataset: str, what: str, layout: str) -> TaskError:
    return TaskError(
        f"{dataset}: {what}: set the environment variable {VARIABLE} or the option root to a folder "
        f"that holds {layout}"
    )
