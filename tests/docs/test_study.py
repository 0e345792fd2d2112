"""Published tables, their committed results and the matrices that made them say the same."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.matrix.config import load_matrix
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from tests.docs import study


@pytest.mark.parametrize("name", ["photos", *study.STUDIES])
def test_every_cell_of_the_matrix_is_in_the_results(name: str) -> None:
    made = [row["id"] for row in study.Cells.read(name).rows]
    assert made == [cell.id for cell in load_matrix(name).cells()]


def test_the_tables_are_those_of_the_results() -> None:
    page = study.PAGE.read_text()
    assert sorted(study.names(page)) == sorted(study.STUDIES)
    assert study.filled(page) == page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "attack", "data"), [("photos", "gifd", None), ("study_convnet", "ig_tuned", "cifar10/test")]
)
def test_cells_that_are_run_again_score_the_same(
    name: str, attack: str, data: str | None, tmp_path: Path
) -> None:
    if data is not None and not Path(os.environ.get("GIFD_BENCH_DATA", tmp_path), data).is_dir():
        pytest.skip(f"needs the environment variable GIFD_BENCH_DATA to name a folder that holds {data}")
    committed = study.Cells.read(name)
    others = [other for other in committed.attacks() if other != attack]
    # Under noise, an inversion enlarges the last digits to decibels.
    defenses = sorted({row["defense"] for row in committed.rows} - {"none"})
    excludes = json.dumps([{"attacks": others}, *({"defenses": [label]} for label in defenses)])
    small = [f"--excludes={excludes}", "--targets=[2, 5]", "--jobs=1", "--pack=2"]
    assert cli(["run", name, f"--output={tmp_path / 'run'}", *small]) == 0
    here = {row.id: row.psnr for row in rows_of(RunFolder(tmp_path / "run")) if row.status == "done"}
    there = {row["id"]: float(row["psnr"]) for row in committed.rows if row["id"] in here}
    assert len(here) == 2
    # The last digits differ between machines and packs.
    assert here == pytest.approx(there, abs=1.5)
