"""What a run folder keeps of a round, and what it says where it cannot."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.common.errors import StorageError
from gifd_bench.tasks.observation_file import load_observation
from tests.benchmark.helpers import tiny_matrix
from tests.rounds import make_round


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "out")
    run.open_for(tiny_matrix(tmp_path))
    return run


def first_cell(run: RunFolder) -> Cell:
    cell, _ = next(run.cells())
    return cell


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_round_is_read_back_as_it_was(run: RunFolder) -> None:
    cell, (observation, truth) = first_cell(run), make_round(2)
    run.write_round(cell, observation, truth)
    assert torch.equal(run.truth(cell).images, truth.images)
    assert run.truth(cell).labels.tolist() == truth.labels.tolist()
    loaded = load_observation(run.observation(cell))
    assert all(torch.equal(loaded.update[name], sent) for name, sent in observation.update.items())
    assert len(list((run.path / "observations").iterdir())) == 1


@pytest.mark.parametrize("size", [0, 30_000])  # not even the truth, or the truth and a part of the update
def test_a_round_without_room_is_one_line_and_leaves_nothing_half_written(
    run: RunFolder, size: int
) -> None:
    cell, (observation, truth) = first_cell(run), make_round()
    with files_end_at(size), pytest.raises(StorageError, match="cannot be written") as error:
        run.write_round(cell, observation, truth)
    assert "\n" not in str(error.value)
    assert str(run.path) in str(error.value)
    assert not list(run.path.rglob("*.partial"))
    assert not run.observation(cell).exists()
    run.write_round(cell, observation, truth)
    with files_end_at(size), pytest.raises(StorageError):
        run.write_round(cell, observation, truth)
    assert load_observation(run.observation(cell)).batch_size == 1
