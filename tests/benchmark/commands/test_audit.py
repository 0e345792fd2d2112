"""Auditing one's own system: an observation file in, a reconstruction out, and no truth anywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.invert import invert
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import load_observation, save_observation

TASK = ["--task.dataset.use=photos", "--task.dataset.size=16", "--task.model.width=4"]
ATTACK = ["--attack", "ig", "--attack.iterations=6", "--seed", "3"]


@pytest.fixture
def observed(tmp_path: Path) -> Path:
    path = tmp_path / "it.safetensors"
    noise = ["--defense.use=gaussian_noise", "--defense.std=0.001"]
    assert cli(["observe", "--output", str(path), "--target", "1", *TASK, *noise]) == 0
    return path


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a wrong command line ends with."""
    capsys.readouterr()
    assert cli(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("gifd-bench: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.slow
def test_another_process_with_the_file_alone_gives_the_same_bytes(observed: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(observed, elsewhere / "moved.safetensors")
    command = [
        sys.executable,
        "-m",
        "gifd_bench",
        "attack",
        "moved.safetensors",
        *ATTACK,
        "--output",
        "out",
    ]
    subprocess.run(command, cwd=elsewhere, check=True, capture_output=True)
    here = load_observation(elsewhere / "moved.safetensors")
    expected = invert(IG(iterations=6), here, None, 3, accelerator="cpu")
    written = load_file(elsewhere / "out" / "reconstruction.safetensors")
    assert written["images"].numpy().tobytes() == expected.images.numpy().tobytes()
    result = json.loads((elsewhere / "out" / "result.json").read_text())
    assert result["matching_loss"] == expected.matching_loss
    assert result["class_names"] == ["cat"]
    assert result["gradient_evaluations"] == 7
    with Image.open(elsewhere / "out" / "reconstruction.png") as picture:
        assert picture.size == (16, 16)


def test_an_attack_that_is_done_is_not_done_again(observed: Path, tmp_path: Path) -> None:
    command = ["attack", str(observed), *ATTACK, "--output", str(tmp_path / "out")]
    assert cli(command) == 0
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
    assert cli(command) == 0
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()} == before


def test_nothing_is_written_over(
    observed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["attack", str(observed), *ATTACK, "--output", str(tmp_path / "out")]
    assert cli(command) == 0
    assert "seed: 3, not 4" in fails(capsys, *command, "--seed", "4")
    assert "not empty and not an attack" in fails(capsys, *command[:-1], str(tmp_path))
    assert "it is not written over" in fails(capsys, "observe", "--output", str(observed), *TASK)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attack", "gifd"], "needs a prior; give one with --prior"),
        (["--attack", "nonesuch"], "no attack 'nonesuch'"),
        (["--attack", "ig", "--attack.iteration=3"], "iteration"),
        (["--attack", "ig", "--attack.stop=discrepancy"], "needs to know of the defense"),
        (["--attack", "ig", "--attack.iterations=0"], "iterations"),
    ],
)
def test_an_attack_that_cannot_be(
    arguments: list[str],
    message: str,
    observed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["attack", str(observed), "--output", str(tmp_path / "out"), *arguments]
    assert message in fails(capsys, *command)
    assert not (tmp_path / "out").exists()


def test_a_model_of_ones_own_is_imported_only_where_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = ModelSpec("tests.benchmark.commands.test_audit:Net", 3, 16)
    model = spec.build(1)
    inputs = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    loss = torch.nn.functional.cross_entropy(model(inputs), torch.tensor([2]))
    observation = Observation.from_gradients(
        model,
        torch.autograd.grad(loss, list(model.parameters())),
        spec=spec,
        batch_size=1,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        class_names=["red", "green", "blue"],
    )
    save_observation(observation, tmp_path / "own.safetensors")
    command = ["attack", str(tmp_path / "own.safetensors"), *ATTACK, "--output", str(tmp_path / "out")]
    assert "name it yourself to allow that" in fails(capsys, *command)
    assert cli([*command, "--model", spec.name]) == 0
    assert json.loads((tmp_path / "out" / "result.json").read_text())["class_names"] == ["blue"]


class Net(torch.nn.Module):
    """Somebody's own victim."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(196, 3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "10"], "targets 0 to 9"),
        (["--task.batch_size=0"], "batch_size"),
        (["--task.model.widht=4"], "widht"),
        (["--task.model.use=nonesuch"], "no model 'nonesuch'"),
        (["--task.dataset.size=18"], "multiple of 4"),
        (["--defense.use=clipping", "--defense.bound=0"], "bound must be"),
        (["--defense.use=sparsification", "--defense.sparsity=1"], "sparsity must be"),
        (["--task.model.use=tests.benchmark.commands.test_audit:Net"], "3 outputs for 10"),
    ],
)
def test_an_observation_that_cannot_be(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "it.safetensors"
    assert message in fails(
        capsys, "observe", "--output", str(output), "--task.dataset.size=16", *arguments
    )
    assert not output.exists()
