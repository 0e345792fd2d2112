"""Killed without warning, hundreds of times, most often in the middle of a cell: nothing is lost, nothing
changes."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gifd_bench.benchmark.launch.worker import WorkerSettings, run_cells
from gifd_bench.benchmark.results.claims import read_claim
from gifd_bench.benchmark.results.run_folder import RunFolder
from tests.benchmark.helpers import reconstructions, tiny_matrix

SETTINGS = WorkerSettings(checkpoint_seconds=0.05)
KILLS = int(os.environ.get("GIFD_BENCH_KILLS", "200"))
MID_CELL = 3 / 4


def begun(path: Path) -> int:
    """A process that runs cells of a folder; forked, since importing torch takes longer than all else."""
    child = os.fork()
    if child == 0:
        try:
            folder = RunFolder(path)
            run_cells(folder, folder.load_matrix(), SETTINGS)
        finally:
            os._exit(0)
    return child


def in_a_cell(folder: RunFolder, pid: int) -> bool:
    """Whether a process is in the middle of an inversion, and further than whoever died before it."""
    for _, cell in folder.cells():
        claim = read_claim(cell)
        if claim is not None and claim.pid == pid:
            with suppress(OSError):
                return cell.checkpoint.stat().st_mtime > claim.since and not cell.ended()
    return False


@pytest.mark.nightly
def test_two_hundred_kills_lose_and_change_nothing(tmp_path: Path) -> None:
    matrix = tiny_matrix(
        tmp_path, attacks={"ig": {"iterations": 400}, "gifd": {"iterations": 25}}, targets=[0, 1, 2]
    )
    calm, out = RunFolder(tmp_path / "calm"), RunFolder(tmp_path / "out")
    for run in (calm, out):
        run.open_for(matrix)
    os.waitpid(begun(calm.path), 0)
    expected, dice = reconstructions(calm.path), random.Random(0)
    assert len(expected) == 12

    kills, mid_cell, rounds = 0, 0, 0
    ended: dict[str, bytes] = {}
    while kills < KILLS:
        child = begun(out.path)
        if dice.random() < MID_CELL:
            end = time.monotonic() + 30
            while not in_a_cell(out, child) and time.monotonic() < end:
                if os.waitpid(child, os.WNOHANG)[0]:
                    break
                time.sleep(0.01)
            else:
                time.sleep(dice.uniform(0, 0.2))
                mid_cell += in_a_cell(out, child)
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                kills += 1
        else:
            time.sleep(dice.uniform(0, 0.4))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
        for cell, folder in out.cells():
            if folder.ended():
                assert folder.status() == "done", folder.outcome()
                assert not folder.claim.exists()
                assert ended.setdefault(cell.id, folder.result.read_bytes()) == folder.result.read_bytes()
        if len(ended) == len(expected):
            # All is done, and was right all along: once more from the beginning.
            assert reconstructions(out.path) == expected
            rounds += 1
            out = RunFolder(tmp_path / f"out{rounds}")
            out.open_for(matrix)
            ended = {}
    os.waitpid(begun(out.path), 0)
    assert {folder.status() for _, folder in out.cells()} == {"done"}
    assert reconstructions(out.path) == expected
    assert mid_cell >= KILLS / 2
