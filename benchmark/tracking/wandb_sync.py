"""Uploading W&B runs that were kept as files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.claims import claimed
from gifd_bench.benchmark.tracking.wandb_settings import away_from_home

# A process for each upload would take seconds to start for each cell.
AT_A_TIME = 20


class UploadFailed(Exception):
    """Some runs could not be uploaded; the message is one line."""


def waiting(folder: Path) -> tuple[list[Path], int]:
    """Runs below a folder that are to be uploaded, and the number of those whose cell has not ended.

    A run that was interrupted leaves several files with the same id, of which the last holds everything. On
    the server, the last uploaded file would replace the others, so only this one is taken.

    Returns:
        Files `run-ID.wandb` that wandb has not marked as uploaded, and the number.
    """
    newest: dict[tuple[Path, str], Path] = {}
    # The name of an offline run's folder begins with its time.
    for file in sorted(folder.rglob("offline-run-*/run-*.wandb")):
        newest[file.parents[1], file.name] = file
    unsent = [file for file in newest.values() if not is_uploaded(file)]
    ended = [file for file in unsent if _has_ended(file)]
    return ended, len(unsent) - len(ended)


def is_uploaded(file: Path) -> bool:
    """Whether wandb has marked a run as uploaded."""
    return file.with_suffix(".wandb.synced").exists()


def upload(files: Sequence[Path], seconds: float, tell: Callable[[int], None]) -> None:
    """Upload runs; those that have been uploaded stay so, whatever happens to the others.

    Args:
        files: the files from `waiting`.
        seconds: time limit for each.
        tell: is called with the number of further files that have been uploaded.

    Raises:
        UploadFailed: some were not uploaded.
    """
    with tempfile.TemporaryDirectory() as scratch, away_from_home(Path(scratch)):
        for start in range(0, len(files), AT_A_TIME):
            part = files[start : start + AT_A_TIME]
            reason = _upload_together(part, seconds * len(part))
            sent = sum(map(is_uploaded, part))
            tell(sent)
            if sent < len(part):
                raise UploadFailed(reason or "wandb sync left runs out and did not say why")


def _upload_together(files: Sequence[Path], seconds: float) -> str | None:
    """Why the upload failed, or `None`."""
    command = [sys.executable, "-m", "wandb", "sync", *(str(file.parent) for file in files)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            text=True,
            env=os.environ | {"WANDB_MODE": "online"},
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:.0f} s"
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return lines[-1] if done.returncode and lines else None


def _has_ended(file: Path) -> bool:
    """Whether nothing more will be written to `CELL/tracking/wandb/offline-run-.../run-ID.wandb`."""
    cell = CellFolder(file.parents[3])
    if not cell.config.is_file():
        return True  # The run of a summary.
    if not cell.ended():
        return False
    # The process that wrote the result still has to close the run, or has died before it could.
    with claimed(cell) as claim:
        return claim is not None
