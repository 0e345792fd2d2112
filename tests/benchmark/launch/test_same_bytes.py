"""The same matrix gives the same bytes, whoever runs it and however often that is interrupted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.benchmark.launch.local import LocalLauncher
from gifd_bench.benchmark.launch.slurm import SlurmSettings, submit
from gifd_bench.benchmark.launch.status import StatusReader
from gifd_bench.benchmark.launch.worker import WorkerSettings, run_cells
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.results.run_folder import RunFolder
from tests.benchmark.helpers import reconstructions, run, tiny_matrix, write_config
from tests.benchmark.launch.cluster import cluster, missing, wait_until

SETTINGS = WorkerSettings(checkpoint_seconds=0.1)
# A victim that is trained, noise on what it sends, an attack on pixels and one with a prior; wide enough
# that the libraries would share out the work among threads if they were let.
TASK = {
    "dataset": {"use": "photos", "size": 32},
    "model": {"use": "convnet", "width": 16},
    "weights": "trained",
    "training": {"epochs": 1, "batch_size": 5},
    "batch_size": 2,
}
CHANGES = {"tasks": {"photos": TASK}, "attacks": {"ig": {"iterations": 8}, "gifd": {"iterations": 2}}}


@pytest.fixture
def matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Matrix:
    monkeypatch.setenv("GIFD_BENCH_CACHE", str(tmp_path / "cache"))
    return tiny_matrix(tmp_path, **CHANGES)


def forget_victims(tmp_path: Path) -> None:
    """Every way of running trains the victim anew."""
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def in_one_process(matrix: Matrix, path: Path) -> dict[str, bytes]:
    forget_victims(path.parent)
    folder = RunFolder(path)
    folder.open_for(matrix)
    assert run_cells(folder, matrix, SETTINGS)
    return reconstructions(path)


@pytest.mark.slow
def test_one_job_two_jobs_and_an_interruption(matrix: Matrix, tmp_path: Path) -> None:
    expected = in_one_process(matrix, tmp_path / "one")
    assert len(expected) == 4
    two = RunFolder(tmp_path / "two")
    two.open_for(matrix)
    forget_victims(tmp_path)
    assert LocalLauncher(2, SETTINGS).run(two, lambda _: None, lambda: False)
    assert reconstructions(two.path) == expected
    forget_victims(tmp_path)
    asked = iter([False] * 10)
    with pytest.raises(InversionInterrupted):
        run(matrix, tmp_path / "broken", stop=lambda: next(asked, True))
    assert in_one_process(matrix, tmp_path / "broken") == expected


@pytest.mark.slow
def test_an_environment_that_says_two_threads(matrix: Matrix, tmp_path: Path) -> None:
    expected = in_one_process(matrix, tmp_path / "one")
    plain = RunFolder(tmp_path / "plain")
    plain.open_for(matrix)
    forget_victims(tmp_path)
    command = [sys.executable, "-m", "gifd_bench.benchmark.launch.worker", str(plain.path)]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "2"}, check=True)
    assert reconstructions(plain.path) == expected


@pytest.mark.slow
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_slurm(matrix: Matrix, tmp_path: Path, slurm: None) -> None:
    expected = in_one_process(matrix, tmp_path / "one")
    remote = RunFolder(tmp_path / "remote")
    remote.open_for(matrix)
    assert len(submit(remote, SlurmSettings(parallel=2, chunk=2), SETTINGS)) == 2
    wait_until(lambda: StatusReader(remote).read().ended == 4, 120)
    assert reconstructions(remote.path) == expected


@pytest.fixture
def slurm() -> Iterator[None]:
    folder = Path("/tmp") / f"gifd-bench-bytes-{os.getpid()}"
    try:
        with cluster(folder):
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_other_threads_and_an_old_folder_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, **CHANGES)
    folder = RunFolder(tmp_path / "out")
    folder.open_for(tiny_matrix(tmp_path, **CHANGES), 1)
    command = ["run", str(config), "--output", str(folder.path)]
    assert cli([*command, "--threads", "2"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "was begun with --threads 1" in said
    content = json.loads(folder.matrix.read_text()) | {"format": "gifd-bench/run/1"}
    folder.matrix.write_text(json.dumps(content))
    assert cli(command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "of format 'gifd-bench/run/1'" in said
    assert not list((folder.path / "cells").iterdir())
