"""`gifd-bench priors` starts at once."""

from __future__ import annotations

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
    found = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    table, heavy = found.stdout.rsplit("\n", 2)[:2]
    assert "(deep-512)" in table
    assert heavy == ""
