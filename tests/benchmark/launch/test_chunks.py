"""How many cells a Slurm job is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gifd_bench.benchmark.launch.slurm import JOB_SECONDS, chunk_of
from gifd_bench.benchmark.launch.status import LONGEST_PAUSE, SHARE, StatusReader
from gifd_bench.benchmark.results.run_folder import RunFolder
from tests.benchmark.helpers import run, tiny_matrix


@pytest.mark.slow
def test_a_job_gets_an_equal_share_and_no_more_than_ten_minutes_by_the_cells_that_are_done(
    tmp_path: Path,
) -> None:
    matrix = tiny_matrix(tmp_path, attacks={"ig": {"iterations": 1}}, defenses={"none": None})
    folder = RunFolder(tmp_path / "out")
    folder.open_for(matrix)
    # Nothing is known of the pace: no job is started more often than it must.
    assert chunk_of(folder, 100, 16) == 7
    assert chunk_of(folder, 3, 16) == 1

    run(matrix, tmp_path / "out")
    ((_, cell),) = folder.cells()
    record = cell.read()
    for seconds, expected in ((JOB_SECONDS / 4, 4), (JOB_SECONDS / 1000, 7), (3 * JOB_SECONDS, 1)):
        replace(record, seconds=seconds).write(cell.result)
        assert chunk_of(folder, 100, 16) == expected


def test_pauses_between_looks_are_in_proportion_to_what_a_look_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "out")
    folder.open_for(tiny_matrix(tmp_path))
    reader = StatusReader(folder)
    clock = iter((0.0, 0.2, 10.0, 10.001, 20.0, 90.0))
    monkeypatch.setattr("gifd_bench.benchmark.launch.status.time.monotonic", lambda: next(clock))
    for expected in (0.2 / SHARE, 2.0, LONGEST_PAUSE):
        reader.read()
        assert reader.pause(2.0) == pytest.approx(expected)
