"""What the engine costs around an inversion, at many cells. Run: `python -m tests.speed.engine 100 1000`.

The inversion is faked: it answers at once, always the same; scoring is faked too. What is left is what a
cell costs beside its science: choosing and claiming it, building attack and observation, its files. One
cell in ten makes an observation. Each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import yaml

from gifd_bench.benchmark import bench, single
from gifd_bench.benchmark.commands import show
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction, StageResult
from gifd_bench.benchmark.launch.status import StatusReader
from gifd_bench.benchmark.launch.worker import WorkerSettings, run_cells
from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.matrix.workload import workload
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.registry import COLUMNS
from gifd_bench.benchmark.scoring.scorer import Scores

CELLS_A_SEED = 100
HEADINGS = ("cells", "plan s", "ms a cell", "status s", "again s", "table s", "csv s", "MiB")


def matrix(cells: int, folder: Path) -> Matrix:
    """So many cells: 10 attacks, 2 defenses, 5 targets, and as many seeds as it takes."""
    content = {
        "tasks": {"photos": {"dataset": "photos", "model": {"use": "convnet", "width": 2}}},
        "defenses": {"none": None, "noise": {"use": "gaussian_noise", "std": 0.01}},
        "attacks": {f"ig_{n}": {"use": "ig", "iterations": 4 + n} for n in range(10)},
        "targets": 5,
        "seeds": max(1, cells // CELLS_A_SEED),
    }
    path = folder / "many.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_matrix(str(path))


def answer() -> Reconstruction:
    """The same for every cell."""
    images, labels = torch.full((1, 3, 32, 32), 0.5), torch.zeros(1, dtype=torch.int64)
    stage = StageResult("pixels", images, labels, 0.5, 4)
    return Reconstruction(images, labels, 0.5, 4, (stage,), torch.zeros(4))


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of an action, since others may use the machine too, and what it returns."""
    began = time.process_time()
    result = action()
    return time.process_time() - began, result


def shown(folder: Path, form: str) -> float:
    """Seconds of `gifd-bench show`, whose output is thrown away."""
    with contextlib.redirect_stdout(io.StringIO()):
        return timed(lambda: show.run([str(folder), "--format", form]))[0]


def measure(cells: int, folder: Path) -> list[float]:
    """One line of the table."""
    many = matrix(cells, folder)
    planning, _ = timed(lambda: workload(many.cells(), {}))
    run = RunFolder(folder / "out")
    run.open_for(many)
    scores = Scores({name: [1.0] for name in COLUMNS}, [0], [], [1.0])
    with (
        patch.object(single, "invert", lambda *args, **kwargs: answer()),
        patch.object(bench, "score", lambda *args: scores),
    ):
        running, _ = timed(lambda: run_cells(run, many, WorkerSettings()))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    first, reader = timed(lambda: StatusReader(run))
    reading, status = timed(reader.read)
    assert status.counts["done"] == status.cells == cells
    again, _ = timed(reader.read)
    tables = [shown(run.path, form) for form in ("table", "csv")]
    return [cells, planning, 1000 * running / cells, first + reading, again, *tables, memory]


def system_calls(cells: int) -> int:
    """How many system calls a whole measurement makes, counted by strace."""
    command = [sys.executable, "-m", "tests.speed.engine", "--alone", str(cells)]
    with tempfile.NamedTemporaryFile("r") as summary:
        subprocess.run(
            ["strace", "-f", "-c", "-o", summary.name, *command], check=True, stdout=subprocess.DEVNULL
        )
        total = summary.read().strip().rpartition("\n")[2].split()
    return int(total[3])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--alone", action="store_true", help="measure one size, in this process")
    parser.add_argument("--strace", action="store_true", help="count system calls a cell too")
    options = parser.parse_args()
    if options.alone:
        with tempfile.TemporaryDirectory(prefix="gifd-bench-engine-") as folder:
            numbers = measure(options.cells[0], Path(folder))
        sys.stdout.write("  ".join(f"{number:>9.4g}" for number in numbers) + "\n")
        return
    sys.stdout.write("  ".join(f"{heading:>9}" for heading in HEADINGS) + "\n")
    for cells in options.cells:
        command = [sys.executable, "-m", "tests.speed.engine", "--alone", str(cells)]
        sys.stdout.flush()
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if options.strace and shutil.which("strace"):
        more, fewer = (system_calls(cells) for cells in (300, 100))
        sys.stdout.write(f"system calls a cell: {(more - fewer) / 200:.0f}\n")


if __name__ == "__main__":
    main()
