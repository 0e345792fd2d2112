"""`gifd-bench observe --check`: an observation file against its private batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.tasks.observation import Observation

TASK = ["--task.dataset.use=photos", "--task.dataset.size=16"]


@pytest.mark.slow
def test_a_file_is_compared_with_the_batch_that_it_is_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "it.safetensors"
    make = ["--task.batch_size=2", "--task.model.width=4", "--target=1"]
    assert cli(["observe", "--output", str(path), *TASK, *make]) == 0
    assert cli(["observe", "--check", str(path), *TASK, "--target=1"]) == 0
    assert "as described" in capsys.readouterr().out

    right = Observation.load(path)
    halved = replace(right, update={name: 2 * value for name, value in right.update.items()})
    halved.save(tmp_path / "sum.safetensors")
    assert cli(["observe", "--check", str(tmp_path / "sum.safetensors"), *TASK, "--target=1"]) == 1
    out = capsys.readouterr().out
    assert "constant factor" in out
    assert "summed over the 2 images" in out
    assert "classifier.bias: cosine 1.0" in out

    # Another batch is no explanation.
    assert cli(["observe", "--check", str(path), *TASK, "--target=0"]) == 1
    assert "unknown" in capsys.readouterr().out
    assert (
        cli(["observe", "--check", str(path), "--task.dataset.use=photos", "--task.dataset.size=20"]) == 2
    )
    assert "images of shape (2, 3, 20, 20) given, and (2, 3, 16, 16) expected" in capsys.readouterr().err
