"""Commands that only read start at once: they import nothing that takes seconds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmark.helpers import write_config

HEAVY = {"torch", "torchvision", "pytorch_lightning", "lightning", "wandb", "timm", "lpips", "torchmetrics"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that is done."""
    folder = tmp_path_factory.mktemp("run")
    config = write_config(folder, attacks={"ig": {"iterations": 1}}, defenses={"none": None})
    command = [sys.executable, "-m", "gifd_bench", "run", str(config), "--output", str(folder / "out")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "list",
        "list gifd",
        "list attacks",
        "plan demo",
        "plan defenses",
        "plan imagenet",
        "plan matrix.yaml --output out",
        "status out",
        "show out",
        "show out --format json",
    ],
)
def test_a_command_that_only_reads_imports_nothing_heavy(command: str, run_folder: Path) -> None:
    words = command.replace("matrix.yaml", str(next(run_folder.glob("*.yaml")))).split()
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gifd_bench", *words],
        cwd=run_folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    # `plan` ends with 1 where data is missing.
    assert ran.returncode in (0, 1), ran.stderr[-2000:]
    imported = re.findall(r"^import time:.*\| +([\w.]+)$", ran.stderr, re.MULTILINE)
    assert "gifd_bench.benchmark.cli" in imported
    assert not HEAVY & {name.split(".")[0] for name in imported}
