"""`gifd-bench priors` starts at once."""

from __future__ import annotations

import os
import subprocess
import sys

LIGHT = """
import sys
from gifd_bench.benchmark.commands.priors import run

assert run([]) == 0
heavy = {"torch", "torchvision", "lightning", "pytorch_lightning", "timm", "wandb", "matplotlib", "scipy"}
print(*sorted(heavy & sys.modules.keys()))
"""


def test_the_list_of_priors_does_not_need_torch() -> None:
    # Wide enough for names of priors to stay on one line.
    wide = {**os.environ, "COLUMNS": "200"}
    command = [sys.executable, "-c", LIGHT]
    found = subprocess.run(command, env=wide, capture_output=True, text=True, check=True)
    table, heavy = found.stdout.rsplit("\n", 2)[:2]
    assert "biggan (deep-512)" in table
    assert heavy == ""
