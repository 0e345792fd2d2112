"""Published tables, their committed results and the matrices that made them say the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.matrix.config import load_matrix
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from tests.data import need
from tests.docs import study
from tests.docs.study_cells import Cells


@pytest.mark.parametrize("name", ["photos", *study.TABLES])
def test_every_cell_of_the_matrix_is_in_the_results(name: str) -> None:
    made = [row["id"] for row in Cells.read(name).rows]
    assert made == [cell.id for cell in load_matrix(name).cells()]


def test_the_tables_are_those_of_the_results() -> None:
    pages = [page.read_text() for page in study.PAGES]
    assert sorted(name for page in pages for name in study.names(page)) == sorted(study.TABLES)
    assert [study.filled(page) for page in pages] == pages


# What is run again of a matrix: two targets of the cells with these labels. Under noise, an inversion
# enlarges the last digits to decibels.
AGAIN = {
    "photos": {"attack": "gifd", "defense": "none"},
    "study_ood": {"attack": "gifd", "task": "photos"},
    "study_convnet": {"attack": "ig_tuned"},
    "study_batches_convnet": {"attack": "ig", "task": "b2"},
    "study_defenses_convnet": {"attack": "ig_tuned", "defense": "soteria"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", AGAIN)
def test_cells_that_are_run_again_score_the_same(name: str, tmp_path: Path) -> None:
    kept, committed = AGAIN[name], Cells.read(name)
    if "photos" not in (name, kept.get("task")):
        need("cifar10/cifar-10-batches-py", "cifar10/test")
    others = {axis: {row[axis] for row in committed.rows} - {label} for axis, label in kept.items()}
    excludes = json.dumps([{f"{axis}s": sorted(labels)} for axis, labels in others.items() if labels])
    small = [f"--excludes={excludes}", "--targets=[2, 5]", "--jobs=1", "--pack=2"]
    assert cli(["run", name, f"--output={tmp_path / 'run'}", *small]) == 0
    here = {row.id: row.psnr for row in rows_of(RunFolder(tmp_path / "run")) if row.status == "done"}
    there = {row["id"]: float(row["psnr"]) for row in committed.rows if row["id"] in here}
    assert len(here) == 2
    # The last digits differ between machines and packs.
    assert here == pytest.approx(there, abs=1.5)
