"""The command line, as a user types it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.matrix.config import load_matrix
from tests.benchmark.helpers import reconstructions, run, write_config

FIELDS = {
    *("attack", "prior", "dataset", "model", "defense", "batch_size", "seed", "target", "status"),
    *("psnr", "ssim", "lpips_alex", "lpips_vgg", "mse", "label_accuracy", "matching_loss"),
    *("gradient_evaluations", "seconds", "reason"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run."""
    folder = tmp_path_factory.mktemp("finished")
    run(load_matrix(str(write_config(folder))), folder / "out")
    return folder / "out"


def test_a_run_prints_means_and_where_the_report_is(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["run", str(write_config(finished.parent)), "--output", str(finished)]) == 0
    printed = capsys.readouterr().out
    assert "PSNR" in printed
    assert str(finished / "report.html") in printed.replace("\n", "")


def test_json_has_an_object_a_cell_with_the_promised_fields(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["show", str(finished), "--format", "json"]) == 0
    cells = json.loads(capsys.readouterr().out)
    assert len(cells) == 4
    for cell in cells:
        assert set(cell) >= FIELDS
        assert cell["status"] == "done"
        assert (cell["dataset"], cell["model"], cell["batch_size"]) == ("photos", "convnet", 1)


def test_csv_and_markdown_and_table_say_the_same(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli(["show", str(finished), "--format", "json"])
    cells = json.loads(capsys.readouterr().out)
    cli(["show", str(finished), "--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["psnr"] for row in rows] == [str(cell["psnr"]) for cell in cells]
    for form in ("markdown", "table"):
        cli(["show", str(finished), "--format", form])
        printed = capsys.readouterr().out
        for cell in cells:
            assert f"{cell['psnr']:.2f}" in printed


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["list"]) == 0
    printed = capsys.readouterr().out
    for name in ("gifd", "ig", "latent", "cifar10", "photos", "convnet", "gaussian_noise", "none", "demo"):
        assert name in printed


def test_priors_lists_stages_sizes_and_weights(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert cli(["priors", "--stages"]) == 0
    printed = capsys.readouterr().out
    for text in (
        "biggan (deep-256)",
        "stylegan2 (ffhq)",
        "untrained",
        "layer 12",
        "feature 512x4x4",
        "latent 18x512",
    ):
        assert text in printed
    (line,) = [
        line for line in printed.splitlines() if line.startswith("biggan (deep-256)") and "no" in line
    ]
    assert line.split()[2:5] == ["256", "1000", "128"]
    assert " 13 " in line  # the stages of the paper


def test_sample_writes_a_grid_and_nothing_over_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "grid.png"
    command = ["sample", "untrained", "--output", str(output), "--columns", "3", "--size=16", "--width=8"]
    assert cli(command) == 0
    with Image.open(output) as image:
        assert image.size == (3 * 17 + 1, 8 * 17 + 1)
    assert cli(command) == 2
    assert "not written over" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample", "nonesuch", "--output", "x.png"], "no prior 'nonesuch'"),
        (["sample", "untrained", "--output", "x.png", "--wdith=8"], "wdith"),
        (["sample", "biggan", "--output", "x.png"], "give a folder"),
        (["sample", "untrained", "--output", "x.jpg"], "a .png file"),
        (["sample", "untrained", "--output", "x.png", "--columns", "0"], "between 1 and 100"),
        (["run", "nonesuch"], "nonesuch: no such file, and no bundled configuration 'nonesuch'"),
        (["run", "demo", "--attacks.ig.iteratons=3"], "attacks.ig.iteratons"),
        (["run", "demo", "--attacks.ig.iterations=few"], "attacks.ig.iterations"),
        (["run", "demo", "--attacks.ig.use=magic"], "no attack 'magic'"),
        (["show", "."], "holds no run"),
        (["report", "nowhere"], "holds no run"),
        (["train-prior", "nonesuch"], "no such file"),
        (["train-prior", "priors/cifar10", "--setps=3"], "setps"),
        (["train-prior", "priors/cifar10", "--data=nowhere"], "nowhere: no such folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_another_matrix_in_the_folder_is_one_line_and_status_2(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(finished.parent)
    assert cli(["run", str(config), "--output", str(finished), "--seeds=[4]"]) == 2
    assert "holds a run of another matrix (seeds.0: 0, not 4)" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["", "{}", '{"format": "gifd-bench/run/1", "matrix": {"name": 1}}'])
def test_a_damaged_run_folder_is_one_line_and_status_2(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "matrix.json").write_text(damage)
    assert cli(["show", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert "matrix.json" in printed
    assert printed.count("\n") == 1


@pytest.mark.slow
def test_a_failed_cell_makes_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gifd_bench.benchmark.attacks.ig import IG

    monkeypatch.setattr(IG, "penalty", lambda self, images: 1 / 0)
    config = write_config(tmp_path, attacks={"ig": {"iterations": 2}}, defenses={"none": None})
    assert cli(["run", str(config), "--output", str(tmp_path / "out")]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert "ZeroDivisionError" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
def test_ctrl_c_in_a_real_process_leaves_a_run_that_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    config = write_config(tmp_path, attacks={"ig": {"iterations": 400}}, defenses={"none": None})

    def command(output: str) -> list[str]:
        return [sys.executable, "-m", "gifd_bench", "run", str(config), "--output", str(tmp_path / output)]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command("broken"), env=environment, stdout=subprocess.PIPE, text=True)
    cells = tmp_path / "broken" / "cells"
    deadline = time.monotonic() + 60
    while not list(cells.glob("*/cell.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.8)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert "the same command continues" in printed
    assert len(list(cells.glob("*/checkpoint.ckpt"))) == 1
    for output in ("broken", "whole"):
        subprocess.run(command(output), env=environment, check=True, capture_output=True)
    assert reconstructions(tmp_path / "broken") == reconstructions(tmp_path / "whole")


def test_a_prior_is_trained_on_a_torchvision_dataset_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fake.yaml").write_text(
        """
name: fake
dataset:
  class_path: torchvision.datasets.FakeData
  init_args: {size: 8, num_classes: 2, image_size: [3, 16, 16]}
channels: [8, 8, 8]
discriminator_channels: [8, 8]
batch_size: 8
bfloat16: false
"""
    )
    monkeypatch.chdir(tmp_path)
    assert cli(["train-prior", "fake.yaml", "--steps", "1", "--latent_size=4"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "runs/priors/fake/fake.safetensors"
    card = (tmp_path / "runs" / "priors" / "fake" / "fake.md").read_text()
    assert "`gifd-bench train-prior fake.yaml --steps 1 --latent_size=4`" in card
    sample = [
        "sample",
        "generator_file",
        "--weights=runs/priors/fake/fake.safetensors",
        "--output",
        "grid.png",
    ]
    assert cli(sample) == 0
    assert (tmp_path / "grid.png").is_file()
