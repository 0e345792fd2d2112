"""The output folder of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gifd_bench.benchmark.results.audit_folder import AuditFolder
from gifd_bench.benchmark.results.output_folder import is_new
from gifd_bench.common.errors import FileError
from gifd_bench.common.files import make_folder, read_json, read_tensors, write_json


@dataclass(frozen=True)
class TrialFolder(AuditFolder):
    """The folder of one attack of an audit."""

    @property
    def failure(self) -> Path:
        """The file that says why the attack failed."""
        return self.path / "failed.json"

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to do."""
        return self.result.is_file() or self.failure.is_file()

    def write_failure(self, reason: str, seconds: float) -> None:
        """Record that the attack has failed."""
        make_folder(self.path)
        write_json(self.failure, {"reason": reason, "seconds": round(seconds, 3)})
        self.checkpoint.unlink(missing_ok=True)

    def read_failure(self) -> str | None:
        """Why the attack failed; `None` if it did not."""
        return str(read_json(self.failure)["reason"]) if self.failure.is_file() else None

    def read_answer(self) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, C, H, W), labels (B,) and loss curve (iterations,) of the answer.

        Raises:
            FileError: the file is missing or damaged.
        """
        content = read_tensors(self.reconstruction)
        try:
            images, labels, curve = content["images"], content["labels"], content["curve"]
        except KeyError as error:
            raise FileError(f"{self.reconstruction}: damaged ({error} is missing)") from error
        if not bool(torch.isfinite(images).all()):
            raise FileError(f"{self.reconstruction}: damaged (images that are not finite)")
        return images, labels, curve


@dataclass(frozen=True)
class PortfolioFolder:
    """The output folder of an audit.

    Attributes:
        path: the path of the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The file of what was asked for."""
        return self.path / "audit.json"

    @property
    def plan(self) -> Path:
        """The file of the plan."""
        return self.path / "plan.json"

    @property
    def verdict(self) -> Path:
        """The file of the result in numbers."""
        return self.path / "verdict.json"

    @property
    def page(self) -> Path:
        """The page with the result, for people."""
        return self.path / "audit.html"

    def trial(self, label: str) -> TrialFolder:
        """The folder of one attack."""
        return TrialFolder(self.path / "attacks" / label)

    def open_for(self, config: dict[str, Any]) -> None:
        """Make the folder, or check that it belongs to this very audit.

        Raises:
            BenchmarkError: it holds something else; nothing is written.
        """

        def read() -> object:
            return read_json(self.config)

        if is_new(self.path, self.config, read, config, "an audit", "another audit"):
            make_folder(self.path / "attacks")
            write_json(self.config, config)
