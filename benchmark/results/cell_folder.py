"""The folder of a cell; no other module knows its file names."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.answer_folder import AnswerFolder
from gifd_bench.benchmark.results.checksums import check_file, checksum
from gifd_bench.benchmark.results.circumstances import commit, machine
from gifd_bench.benchmark.results.record import (
    DAMAGED,
    CellRecord,
    Circumstances,
    Ended,
    StageRecord,
)
from gifd_bench.benchmark.results.round_files import RoundFiles
from gifd_bench.common.errors import AccessError, FileError, one_line
from gifd_bench.common.files import make_folder, read_tensors, write_json

# Commands that only read results start at once: torch is imported by what needs it.
if TYPE_CHECKING:
    from torch import Tensor

    from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
    from gifd_bench.benchmark.scoring.scorer import Scores


@dataclass(frozen=True)
class CellFolder(AnswerFolder):
    """Everything about one cell. `result.json` is written last, and marks the end of the cell.

    Attributes:
        round: the files of what it attacks; `None` if they are not available.
        sealed: whether its result must have a checksum; results of older versions have none.
    """

    round: RoundFiles | None = None
    sealed: bool = True

    @property
    def config(self) -> Path:
        """The cell's resolved configuration."""
        return self.path / "cell.json"

    @property
    def lock(self) -> Path:
        """The file that the process locks that runs the cell."""
        return self.path / "claim.lock"

    @property
    def claim(self) -> Path:
        """The file that says who runs the cell, or died while running it."""
        return self.path / "claim.json"

    @property
    def progress(self) -> Path:
        """The file that says how far the inversion is; it is rewritten about every second."""
        return self.path / "progress.json"

    @property
    def log(self) -> Path:
        """The file that says when and where it began, continued and ended."""
        return self.path / "log.txt"

    @property
    def tracking(self) -> Path:
        """The folder in which a tracker writes."""
        return self.path / "tracking"

    def ended(self) -> bool:
        """Whether there is a result of any kind."""
        return self.result.is_file()

    def status(self) -> Ended | Literal["damaged"] | None:
        """`done`, `failed`, `skipped` or `damaged`; `None` while the cell has not ended.

        Raises:
            AccessError: this user may not read it.
        """
        found = self.outcome()
        if isinstance(found, str):
            return DAMAGED
        return found.status if found is not None else None

    def outcome(self) -> CellRecord | str | None:
        """How the cell has ended; `None` while it has not ended.

        If the result or a file that belongs to it is damaged, it is the reason, on one line.

        Raises:
            AccessError: this user may not read it.
        """
        if not self.ended():
            return None
        try:
            return self.read()
        except AccessError:
            raise
        except FileError as error:
            return one_line(error)

    def read(self) -> CellRecord:
        """How the cell has ended, after checking every file that the result names.

        Raises:
            AccessError: this user may not read it.
            FileError: it has not ended; or its result, a file that belongs to it, or what it was scored
                with is damaged.
        """
        record = CellRecord.read(self.result, self.sealed)
        if record.cell not in (None, self.path.name):
            raise FileError(f"{self.result}: the result of another cell")
        for name, expected in record.files.items():
            check_file(self.path / name, expected)
        if record.round is not None and self.round is not None:
            self.round.check(record.round)
        return record

    def begin(self, cell: Cell) -> None:
        """Make the folder, and write the configuration."""
        make_folder(self.path)
        write_json(self.config, cell.config())

    def note(self, event: str) -> None:
        """Add a line to the log, with time and place."""
        line = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} {platform.node()} {os.getpid()} {event}\n"
        with suppress(OSError), self.log.open("a", encoding="utf-8") as log:
            log.write(line)

    def retire(self) -> None:
        """Put the result aside, so that the cell runs again; nothing is lost."""
        number = 1
        while (aside := self.path / f"result.{number}.json").exists():
            number += 1
        self.result.replace(aside)

    def write_done(
        self, reconstruction: Reconstruction, scores: Scores, seconds: float, pack: Sequence[str] = ()
    ) -> None:
        """Record that the cell has ended with an answer.

        Args:
            reconstruction: the answer of the attack, which has already been written.
            scores: its metrics.
            seconds: wall-clock time of the inversion, without interruptions.
            pack: the ids of the cells that ran with it, as in `CellRecord`.
        """
        stages = zip(reconstruction.stages, scores.stage_psnr, strict=True)
        record = CellRecord(
            status="done",
            circumstances=Circumstances.now(commit(), machine()),
            reason="; ".join(scores.reasons) or None,
            seconds=round(seconds, 3),
            matching_loss=reconstruction.matching_loss,
            gradient_evaluations=reconstruction.gradient_evaluations,
            per_image={n: None if v is None else tuple(v) for n, v in scores.per_image.items()},
            assignment=tuple(scores.assignment),
            stages=tuple(
                StageRecord(stage.name, stage.matching_loss, stage.gradient_evaluations, round(psnr, 4))
                for stage, psnr in stages
            ),
            path=reconstruction.path,
            distractors=scores.distractors,
            round=self.round.sums() if self.round is not None and self.round.record.exists() else None,
            moments=tuple(
                replace(moment, seconds=round(moment.seconds, 3), psnr=round(moment.psnr, 4))
                for moment in scores.moments
            ),
            pack=tuple(pack),
        )
        self._write_end(record)

    def write_skipped(self, reason: str) -> None:
        """Record that the cell cannot run, because the attack needs what is not granted."""
        self._write_end(CellRecord("skipped", Circumstances.now(commit(), None), reason))

    def write_failed(self, reason: str, trace: str, seconds: float) -> None:
        """Record that the cell has ended with an exception."""
        circumstances = Circumstances.now(commit(), machine())
        self._write_end(CellRecord("failed", circumstances, reason, round(seconds, 3), trace))

    def images(self) -> Tensor:
        """The images of the reconstruction: (B, 3, H, W) in [0, 1].

        Raises:
            FileError: the file is missing or damaged.
        """
        return read_tensors(self.reconstruction)["images"]

    def _write_end(self, record: CellRecord) -> None:
        there = [file for file in (self.config, self.reconstruction, self.picture) if file.exists()]
        files = {file.name: checksum(file) for file in there}
        # Whoever dies after this has ended the cell, and leaves no claim on it.
        self.claim.unlink(missing_ok=True)
        replace(record, cell=self.path.name, files=files).write(self.result)
        for done_with in (self.checkpoint, self.progress):
            done_with.unlink(missing_ok=True)
