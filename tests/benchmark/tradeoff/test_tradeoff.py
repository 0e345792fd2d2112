"""`gifd-bench tradeoff`: leakage against accuracy, the sentence, and going on where it stopped."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.statistics.interval import Interval
from gifd_bench.benchmark.tradeoff.chart import draw_tradeoff, pareto
from gifd_bench.benchmark.tradeoff.finding import cheapest, sentence
from gifd_bench.benchmark.tradeoff.points import Leak, Point
from tests.benchmark.helpers import write_config

TASK = {"dataset": {"use": "photos", "size": 16}, "model": {"use": "convnet", "width": 2}}
TRAINING = ["--epochs=1", "--batch-size=5", "--training-seeds=2", "--distractors=9"]


def exact(value: float) -> Interval:
    return Interval(value, value, value, 6)


def point(kind: str, strength: str, identified: float, accuracy: float | None) -> Point:
    leaks = (
        Leak("ig", exact(identified), exact(20.0), exact(identified / 2), 6),
        Leak("gifd", exact(identified / 2), exact(10.0), exact(0.1), 6),
    )
    known = None if accuracy is None else exact(accuracy)
    return Point("t", f"{kind}_{strength}", kind, strength, leaks, known, None, None, 0)


POINTS = [
    point("none", "", 1.0, 0.9),
    point("noise", "std 0.01", 0.5, 0.88),
    point("noise", "std 0.1", 0.0, 0.6),
    point("clipping", "bound 1", 0.02, 0.8),
    point("soteria", "sparsity 0.8", 0.0, None),
]


def test_no_label_of_the_chart_covers_another() -> None:
    near = [point("noise", f"std {0.001 * k:g}", 1.0, 0.8 + 0.002 * k) for k in range(8)]
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    draw_tradeoff(near, figure)
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) == 8
        for k, box in enumerate(boxes):
            assert box.count_overlaps(boxes[k + 1 :]) == 0
            assert axes.bbox.contains(box.x0, box.y0)
            assert axes.bbox.contains(box.x1, box.y1)


def test_the_cheapest_setting_that_hides_is_the_one_with_the_highest_accuracy() -> None:
    best = cheapest(POINTS, 0.05)
    assert best is not None
    assert best.kind == "clipping"
    said = sentence(POINTS, 0.05)
    assert "clipping (bound 1), at a loss of 10.0 points of accuracy (80.0% instead of 90.0%)" in said
    assert "gifd and ig" in said
    assert "identified 2% of 6 images" in said
    # Soteria hides as well, but nobody knows at what price.
    assert "noise (std 0.1)" in sentence(POINTS, 0.0)
    assert sentence(POINTS[:2], 0.05).startswith("No setting")


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    front = pareto([p for p in POINTS if p.accuracy], lambda leak: leak.identified)
    assert [p.strength for p in front] == ["std 0.1", "bound 1", "std 0.01", ""]


def test_points_are_called_by_the_options_in_which_they_differ() -> None:
    figure = Figure()
    strengths = ("bits 4, rounding nearest", "bits 2, rounding nearest")
    draw_tradeoff([point("quantisation", strength, 0.5, 0.8) for strength in strengths], figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["4", "2"]


@pytest.mark.slow
def test_leakage_and_accuracy_in_one_table_and_on_again_nothing_is_done_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(
        tmp_path,
        tasks={"photos": TASK},
        defenses={"none": None, "noise": {"use": "gaussian_noise"}, "dp_sgd": None},
        attacks={"ig": {"iterations": 20}},
    )
    command = ["tradeoff", str(config), "--output", str(tmp_path / "out"), *TRAINING, "--jobs=1"]
    command.append("--defenses.noise.std=[1e-4, 10.0]")
    assert cli(command) == 0
    printed = capsys.readouterr().out
    assert "The cheapest setting" in printed or "No setting" in printed
    with (tmp_path / "out" / "tradeoff.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["strength"] for row in rows] == ["", "std 0.0001", "std 10", "bound 1, noise_multiplier 1"]
    assert all(0 <= float(row["accuracy"]) <= 1 and row["seeds"] == "2" for row in rows)
    assert float(rows[0]["ssim"]) > float(rows[2]["ssim"])
    assert float(rows[3]["epsilon"]) > 0
    assert "<svg" in (tmp_path / "out" / "tradeoff-photos.svg").read_text()
    with Image.open(tmp_path / "out" / "tradeoff-photos.png") as chart:
        assert chart.width > 1000
    files = list((tmp_path / "out" / "accuracy").iterdir())
    assert len(files) == 8
    before = {file: file.stat().st_mtime_ns for file in files}
    assert cli(command) == 0
    assert {file: file.stat().st_mtime_ns for file in files} == before


@pytest.mark.slow
def test_a_training_that_takes_too_long_leaves_a_setting_without_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(
        tmp_path, tasks={"photos": TASK}, defenses={"none": None}, attacks={"ig": {"iterations": 2}}
    )
    command = ["tradeoff", str(config), "--output", str(tmp_path / "out"), *TRAINING, "--jobs=1"]
    assert cli([*command, "--training-time=1e-9"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "more than its time limit" in printed
    assert len(list((tmp_path / "out" / "accuracy").iterdir())) == 1


@pytest.mark.parametrize("wrong", ["--training-seeds=0", "--identified=2", "--distractors=0"])
def test_wrong_numbers_are_errors(wrong: str, tmp_path: Path) -> None:
    assert cli(["tradeoff", "demo", "--output", str(tmp_path / "out"), wrong]) == 2
    assert not (tmp_path / "out").exists()
