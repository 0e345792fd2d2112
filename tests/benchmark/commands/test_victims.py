"""`gifd-bench train-victim` and `gifd-bench utility`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from gifd_bench.benchmark.cli import run

MATRIX = """
tasks:
  photos:
    dataset: {use: photos, size: 16}
    model: {use: resnet_cifar, width: 1}
    training: {epochs: 1, batch_size: 4, learning_rate: 0.01}
defenses:
  none:
  noise: {use: gaussian_noise, std: 0.1}
  private: {use: dp_sgd}
attacks:
  ig:
"""
TRAIN = ["train-victim", "--dataset.use=photos", "--dataset.size=16", "--model.use=lenet", "--epochs=1"]


@pytest.fixture
def matrix(tmp_path: Path) -> str:
    (tmp_path / "matrix.yaml").write_text(MATRIX)
    return str(tmp_path / "matrix.yaml")


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_utility_has_a_row_a_defense(
    matrix: str, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / f"utility{suffix}"
    # DP-SGD has no per-example gradients through BatchNorm: a row, and status 1.
    assert run(["utility", matrix, f"--output={output}", "--epochs=2", "--limit=8"]) == 1
    text = output.read_text()
    rows = json.loads(text) if suffix == ".json" else list(csv.DictReader(text.splitlines()))
    assert [(row["task"], row["defense"]) for row in rows] == [
        ("photos", label) for label in ("none", "noise", "private")
    ]
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows[:2])
    assert not rows[2]["accuracy"]
    assert "BatchNorm" in rows[2]["reason"]
    printed = capsys.readouterr().out
    assert "private" in printed
    assert "BatchNorm" in printed


def test_a_victim_is_trained_and_judged_by_images_held_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*TRAIN, f"--cache={tmp_path}"]) == 0
    (path,) = (tmp_path / "victims").iterdir()
    printed = capsys.readouterr().out
    assert str(path) in printed
    assert "(9 images)" in printed
    assert "(1 images)" in printed
    before = path.stat().st_mtime_ns
    assert run([*TRAIN, f"--cache={tmp_path}"]) == 0
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*TRAIN, "--model.width=3"], "width"),
        ([*TRAIN, "--epochs=0"], "epochs"),
        ([*TRAIN, "--model.use=nonesuch"], "no model 'nonesuch'"),
        (["utility", "{}", "--output=x.txt"], ".csv or .json"),
        (["utility", "{}", "--output=nowhere/x.csv"], "in a folder that exists"),
        (["utility", "{}", "--defenses.noise.std=-1"], "std"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    matrix: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([argument.format(matrix) for argument in arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
