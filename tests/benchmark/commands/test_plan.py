"""`gifd-bench plan`: counts, costs and needs, without data and without a trace."""

from __future__ import annotations

import re
import time
import tracemalloc
from pathlib import Path

import pytest
import torch

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.commands.plan import run
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.config import load_matrix
from gifd_bench.benchmark.matrix.config_files import bundled_configs
from tests.benchmark.helpers import run as run_matrix
from tests.benchmark.helpers import tiny_matrix


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, no data and no GPU."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    monkeypatch.delenv("GIFD_BENCH_DATA", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def row(printed: str, start: str) -> list[str]:
    """The cells of the first row of a table that starts so."""
    (found, *_) = [line for line in printed.splitlines() if line.startswith(start)]
    return found.split()


@pytest.mark.parametrize(
    "name",
    # One that needs nothing, and one that needs data; another test resolves all of them.
    [n if n in ("demo", "cifar10") else pytest.param(n, marks=pytest.mark.slow) for n in bundled_configs()],
)
def test_every_bundled_matrix_plans_without_data_and_leaves_no_trace(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = load_matrix(name)
    # Of all datasets only the photographs come with the packages.
    lacks = any(task.dataset.name != "photos" for task in matrix.tasks)
    assert run([name]) == (1 if lacks else 0)
    printed = capsys.readouterr().out
    assert ("missing:" in printed) == lacks
    assert row(printed, "all")[-1] == f"{len(list(matrix.cells())):,}"
    assert "gradient evaluations: about" in printed
    assert list(Path().iterdir()) == []


@pytest.mark.slow
def test_counts_by_axis_and_status_and_what_an_evaluation_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: IG, images: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(IG, "penalty", broken)
        run_matrix(tiny_matrix(tmp_path, seeds=1), tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    config = str(tmp_path / "tiny.yaml")
    with pytest.raises(BenchmarkError, match="holds a run of another matrix"):
        run([config, "--seeds=3", "--output", str(tmp_path / "out")])
    assert run([config, "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert row(printed, "all") == ["all", "0", "2", "2", "0", "4"]
    assert row(printed, "attack") == ["attack", "ig", "0", "0", "2", "0", "2"]
    assert "failed: 2: ZeroDivisionError: broken" in printed
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


@pytest.mark.slow
def test_the_time_of_what_is_left_comes_from_what_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = tiny_matrix(tmp_path, attacks={"ig": {"iterations": 4}}, targets=2)
    run_matrix(matrix, tmp_path / "out")
    last = list(matrix.cells())[-1]
    (tmp_path / "out" / "cells" / last.id / "result.json").unlink()
    assert run([str(tmp_path / "tiny.yaml"), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert row(printed, "all") == ["all", "1", "3", "0", "0", "4"]
    photos, ig, _, cells, evaluations, rate, *_ = row(printed, "photos")
    assert (photos, ig, cells, evaluations) == ("photos", "ig", "1", "5")
    assert float(rate) > 0
    assert "time: about" in printed


def test_skipped_cells_are_counted_by_their_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--attacks.ig.stop=discrepancy"]) == 0
    printed = capsys.readouterr().out
    assert " ".join(row(printed, "target")) == "target 3 targets, from 0 to 2"
    assert row(printed, "all") == ["all", "12", "0", "0", "6", "18"]
    assert "skipped: 6: stop=discrepancy needs to know of the defense" in printed


def test_speed_is_only_measured_on_request(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny_matrix(tmp_path, defenses={"none": None}, attacks={"ig": {"iterations": 20}})
    config = str(tmp_path / "tiny.yaml")
    assert run([config]) == 0
    assert "time: not known; --measure times a few iterations" in capsys.readouterr().out
    assert run([config, "--measure"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"time: about \d+ s, one cell after the other", printed)
    assert float(row(printed, "photos")[5]) > 0
    assert list(Path().iterdir()) == []


def test_what_depends_on_absent_weights_is_said_not_to_be_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["imagenet", "--measure"]) == 1
    printed = capsys.readouterr().out
    assert "about 1,200,080, and those of 30 cells that depend on what is missing" in printed
    assert "time: not known; nothing that is here can be timed" in printed


def test_options_that_do_not_fit_the_prior_are_an_error() -> None:
    with pytest.raises(BenchmarkError, match="2 numbers of iterations given for 5 stages"):
        run(["demo", "--attacks.gifd.iterations=[1, 2]"])


@pytest.mark.slow
def test_ten_thousand_cells_plan_in_seconds_and_in_little_memory(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exclude = "--excludes=[{attacks: ig, defenses: noise, seeds: [3, 4]}]"
    override = "--overrides=[{when: {attacks: gifd, defenses: noise}, set: {restarts: 2}}]"
    arguments = ["demo", "--targets=10", "--seeds=167", exclude, override]
    began = time.monotonic()
    assert run(arguments) == 0
    assert time.monotonic() - began < 10  # 1.4 s on a busy core.
    assert row(capsys.readouterr().out, "all")[-1] == "10,000"
    tracemalloc.start()
    cells = [(cell, cell.id, cell.observation_id) for cell in load_matrix("demo", arguments[1:]).cells()]
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len({cell_id for _, cell_id, _ in cells}) == 10_000
    assert held < 100 << 20  # 7 MB.
