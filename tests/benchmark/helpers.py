"""A matrix small enough to run in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.runner import Runner
from gifd_bench.benchmark.tracking.base import Tracker

TINY: dict[str, Any] = {
    "tasks": {"photos": {"dataset": "photos", "model": {"use": "convnet", "width": 2}}},
    "defenses": {"none": None, "noise": {"use": "gaussian_noise", "std": 0.01}},
    "priors": {"cifar10": None},
    "attacks": {"ig": {"iterations": 4}, "gifd": {"iterations": 1}},
    "targets": [0],
}


class Quiet:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.iterations = 0
        self.ended: list[str] = []

    def begin(self, title: str, iterations: int) -> None:
        self.begun.append(title)

    def iterate(self, iteration: int) -> None:
        self.iterations += 1

    def end(self, title: str, status: str) -> None:
        self.ended.append(status)


def write_config(folder: Path, **changes: Any) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY, **changes}, sort_keys=False), encoding="utf-8")
    return path


def tiny_matrix(folder: Path, **changes: Any) -> Matrix:
    return load_matrix(str(write_config(folder, **changes)))


def run(
    matrix: Matrix,
    output: Path,
    stop: Any = lambda: False,
    tracker: Tracker | None = None,
    pack: int = 1,
) -> Quiet:
    folder, display = RunFolder(output), Quiet()
    folder.open_for(matrix)
    Runner(folder, tracker or Tracker(), display, stop, pack=pack).run_all(matrix)
    return display


def reconstructions(output: Path) -> dict[str, bytes]:
    """Every reconstruction of a run, byte by byte."""
    files = sorted((output / "cells").glob("*/reconstruction.safetensors"))
    return {file.parent.name: file.read_bytes() for file in files}
