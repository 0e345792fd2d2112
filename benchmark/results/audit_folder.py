"""The output folder of an attack on one observation of unknown origin, without the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.results.answer_folder import AnswerFolder
from gifd_bench.benchmark.results.output_folder import is_new
from gifd_bench.benchmark.results.record import AuditRecord, read_record, write_record
from gifd_bench.common.files import make_folder, read_json, write_json


@dataclass(frozen=True)
class AuditFolder(AnswerFolder):
    """What was asked (`config.json`), the state to continue from, and the answer once it has ended."""

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.json"

    def open_for(self, config: dict[str, Any]) -> None:
        """Make the folder, or check that it holds this very attack.

        Raises:
            BenchmarkError: it holds something else; nothing is written.
        """

        def read() -> object:
            return read_json(self.config)

        if not is_new(self.path, self.config, read, config, "an attack", "another attack"):
            return
        make_folder(self.path)
        write_json(self.config, config)

    def write(self, reconstruction: Reconstruction, class_names: tuple[str, ...], seconds: float) -> None:
        """Record that the attack has ended."""
        self.write_reconstruction(reconstruction)
        labels = tuple(reconstruction.labels.tolist())
        record = AuditRecord(
            labels,
            tuple(class_names[label] for label in labels),
            reconstruction.matching_loss,
            reconstruction.gradient_evaluations,
            round(seconds, 3),
        )
        write_record(record, self.result)
        self.checkpoint.unlink(missing_ok=True)

    def read(self) -> AuditRecord:
        """The answer in numbers.

        Raises:
            FileError: the attack has not ended, or the file is damaged.
        """
        return read_record(AuditRecord, self.result)
