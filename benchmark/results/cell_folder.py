"""One folder a cell, and the only place that knows its file names."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.circumstances import commit, machine
from gifd_bench.benchmark.results.reconstruction_files import write_reconstruction
from gifd_bench.benchmark.scoring.scorer import Scores
from gifd_bench.common.files import make_folder, read_json, read_tensors, write_json

PACKAGES = ("gifd-bench", "torch", "pytorch-lightning", "torchmetrics")


@dataclass(frozen=True)
class CellFolder:
    """Everything about one cell. `result.json` is written last: with it the cell has ended."""

    path: Path

    @property
    def config(self) -> Path:
        """The cell's resolved configuration."""
        return self.path / "cell.json"

    @property
    def result(self) -> Path:
        """Status, scores and circumstances."""
        return self.path / "result.json"

    @property
    def reconstruction(self) -> Path:
        """The reconstruction, lossless."""
        return self.path / "reconstruction.safetensors"

    @property
    def picture(self) -> Path:
        """The reconstruction, to look at."""
        return self.path / "reconstruction.png"

    @property
    def checkpoint(self) -> Path:
        """Where an interrupted inversion goes on; gone when the cell has ended."""
        return self.path / "checkpoint.ckpt"

    @property
    def lock(self) -> Path:
        """Locked by the process that runs the cell."""
        return self.path / "claim.lock"

    @property
    def claim(self) -> Path:
        """Who runs the cell, or died while running it."""
        return self.path / "claim.json"

    @property
    def progress(self) -> Path:
        """How far its inversion is, rewritten every second or so while it runs."""
        return self.path / "progress.json"

    @property
    def log(self) -> Path:
        """When it began, went on and ended, and where."""
        return self.path / "log.txt"

    @property
    def tracking(self) -> Path:
        """What a tracker writes."""
        return self.path / "tracking"

    def ended(self) -> bool:
        """Whether there is a result, of whatever kind."""
        return self.result.is_file()

    def status(self) -> str | None:
        """`done`, `failed` or `skipped`; null while the cell has not ended."""
        return str(self.read()["status"]) if self.result.is_file() else None

    def read(self) -> dict[str, Any]:
        """The content of `result.json`."""
        content: dict[str, Any] = read_json(self.result)
        return content

    def begin(self, cell: Cell) -> None:
        """Make the folder and write the configuration."""
        make_folder(self.path)
        write_json(self.config, cell.config())

    def note(self, event: str) -> None:
        """Add a line to the log: when, where and what."""
        line = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} {platform.node()} {os.getpid()} {event}\n"
        with suppress(OSError), self.log.open("a", encoding="utf-8") as log:
            log.write(line)

    def retire(self) -> None:
        """Put the result aside, so that the cell runs again; nothing is lost."""
        number = 1
        while (aside := self.path / f"result.{number}.json").exists():
            number += 1
        self.result.replace(aside)

    def write_done(self, reconstruction: Reconstruction, scores: Scores, seconds: float) -> None:
        """The cell has ended well.

        Args:
            reconstruction: the attack's answer.
            scores: its metrics.
            seconds: wall time of the inversion, interruptions left out.
        """
        write_reconstruction(self.reconstruction, self.picture, reconstruction)
        result = {
            "status": "done",
            "reason": "; ".join(scores.reasons) or None,
            "matching_loss": reconstruction.matching_loss,
            "gradient_evaluations": reconstruction.gradient_evaluations,
            "seconds": round(seconds, 3),
            "per_image": scores.per_image,
            "assignment": scores.assignment,
            "stages": [
                {
                    "name": stage.name,
                    "matching_loss": stage.matching_loss,
                    "gradient_evaluations": stage.gradient_evaluations,
                    "psnr": round(psnr, 4),
                }
                for stage, psnr in zip(reconstruction.stages, scores.stage_psnr, strict=True)
            ],
        }
        self._write_end(result)

    def write_skipped(self, reason: str) -> None:
        """The cell makes no sense: what the attack needs is not granted."""
        self._write_end({"status": "skipped", "reason": reason})

    def write_failed(self, reason: str, trace: str, seconds: float) -> None:
        """The cell has ended with an exception."""
        result = {
            "status": "failed",
            "reason": reason,
            "traceback": trace,
            "seconds": round(seconds, 3),
        }
        self._write_end(result)

    def images(self) -> torch.Tensor:
        """The reconstruction's images: (B, 3, H, W) in [0, 1]."""
        return read_tensors(self.reconstruction)["images"]

    def _write_end(self, result: dict[str, Any]) -> None:
        python = {"python": platform.python_version()}
        result["versions"] = python | {package: version(package) for package in PACKAGES}
        result["commit"] = commit()
        result["machine"] = machine()
        write_json(self.result, result)
        for done_with in (self.checkpoint, self.progress):
            done_with.unlink(missing_ok=True)
