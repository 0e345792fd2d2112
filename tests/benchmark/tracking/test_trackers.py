"""What trackers write, read back."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark.results.rows import rows_of
from benchmark.results.run_folder import RunFolder
from benchmark.tracking.registry import TRACKERS
from tests.benchmark.helpers import reconstructions, run, tiny_matrix


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_tracking_changes_no_result(name: str, tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path, defenses={"none": None})
    run(matrix, tmp_path / "plain")
    run(matrix, tmp_path / "tracked", tracker=TRACKERS[name]())
    assert reconstructions(tmp_path / "plain") == reconstructions(tmp_path / "tracked")


def test_csv_holds_the_curve_and_the_scores(tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path, defenses={"none": None}, attacks={"ig": {"iterations": 600}})
    run(matrix, tmp_path / "out", tracker=TRACKERS["csv"]())
    (file,) = (tmp_path / "out").glob("cells/*/tracking/metrics.csv")
    rows = list(csv.DictReader(file.open()))
    curve = [(int(row["step"]), float(row["matching_loss"])) for row in rows if row["matching_loss"]]
    assert [step for step, _ in curve] == list(range(0, 600, 3))
    assert curve[-1][1] < curve[0][1]
    last = rows[-1]
    assert 0 < float(last["psnr"]) < 100
    assert float(last["gradient_evaluations"]) == 601


def test_wandb_offline_holds_curve_scores_image_config_and_group(tmp_path: Path) -> None:
    executable = Path(sys.executable).with_name("wandb")
    if not executable.exists() and shutil.which("wandb") is None:
        pytest.skip("the wandb command is not installed")
    matrix = tiny_matrix(tmp_path, defenses={"none": None}, attacks={"ig": {"iterations": 5}})
    run(matrix, tmp_path / "out", tracker=TRACKERS["wandb"]())
    (file,) = (tmp_path / "out").glob("cells/*/tracking/wandb/offline-run-*/run-*.wandb")
    assert list(file.parent.glob("files/media/images/*.png"))
    command = [str(executable), "leet", "inspect", "--json", str(file)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    records = [json.loads(line) for line in printed.splitlines()]
    (started,) = [record["run"] for record in records if record["type"] == "run"]
    config = started["config"]["update"]
    assert config["attack"]["options"]["iterations"] == 5
    assert config["defense"]["label"] == "none"
    assert "tiny" in json.dumps(started)  # the group is the matrix's name
    history = [record["history"]["item"] for record in records if record["type"] == "history"]
    curve = [item["matching_loss"] for item in history if "matching_loss" in item]
    assert len(curve) == 5
    (scores,) = [item for item in history if "psnr" in item]
    (row,) = [row for row in rows_of(RunFolder(tmp_path / "out")) if row.attack == "ig"]
    assert scores["psnr"] == pytest.approx(row.psnr)
    assert scores["final_matching_loss"] == pytest.approx(row.matching_loss)
    assert any("truth and reconstruction._type" in item for item in history)


def test_the_curve_is_logged_without_any_score(tmp_path: Path) -> None:
    """Nothing that is logged while an attack runs knows the truth."""
    seen: list[dict[str, Any]] = []

    class Spy(TRACKERS["csv"]):  # type: ignore[misc]
        def logger(self, *arguments: Any) -> Any:
            logger = super().logger(*arguments)
            original = logger.log_metrics
            logger.log_metrics = lambda metrics, step=None: (seen.append(metrics), original(metrics, step))
            return logger

    run(tiny_matrix(tmp_path, defenses={"none": None}), tmp_path / "out", tracker=Spy())
    assert {key for metrics in seen if "psnr" not in metrics for key in metrics} == {"matching_loss"}
    assert sum("psnr" in metrics for metrics in seen) == 2
