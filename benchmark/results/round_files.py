"""The files of one round of the client: what the server sees of it, and what it must not see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.benchmark.results.checksums import (
    FileSum,
    check_file,
    checksum,
    read_sealed,
    write_sealed,
)
from gifd_bench.benchmark.results.record import RoundSums, checked
from gifd_bench.common.errors import AccessError, FileError, MissingError
from gifd_bench.common.files import make_folder, read_tensors, write_tensors

# Commands that only read results start at once: torch is imported by what needs it.
if TYPE_CHECKING:
    from gifd_bench.tasks.observation import Observation
    from gifd_bench.tasks.truth import Truth


@dataclass(frozen=True)
class RoundRecord:
    """What the files of a round were when they were written.

    Attributes:
        round: the round's id.
        observation, truth: the files.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    round: str
    observation: FileSum
    truth: FileSum


@dataclass(frozen=True)
class RoundFiles:
    """Where observation and truth of a round are, and whether they still are what they were.

    Truths are kept apart from observations: an attack that runs elsewhere needs the one and must not be
    given the other.

    Attributes:
        run: the run folder.
        round: see there.
    """

    run: Path
    round: Round

    @property
    def observation(self) -> Path:
        """What the server sees."""
        return self.run / "observations" / f"{self.round.observation_id}.safetensors"

    @property
    def truth(self) -> Path:
        """What it must not see."""
        return self.run / "truths" / f"{self.round.observation_id}.safetensors"

    @property
    def record(self) -> Path:
        """What both were when they were written."""
        return self.run / "rounds" / f"{self.round.observation_id}.json"

    def read_record(self) -> RoundRecord:
        """What the files were when they were written.

        Raises:
            AccessError: this user must not read the record.
            FileError: it is not there, or is damaged.
        """
        record = checked(RoundRecord, read_sealed(self.record, required=True), self.record)
        if record.round != self.round.observation_id:
            raise FileError(f"{self.record}: the record of another round")
        return record

    def sums(self) -> RoundSums:
        """The checksums of both files, as they were written."""
        record = self.read_record()
        return RoundSums(record.observation.sha256, record.truth.sha256)

    def check(self, sums: RoundSums) -> None:
        """Make sure that the files are those that a cell was run and scored with.

        An observation of the size and the time that it was written with is not read: it may be large.

        Raises:
            AccessError: this user must not read one.
            FileError: one is missing or damaged.
        """
        record = self.read_record()
        if sums != RoundSums(record.observation.sha256, record.truth.sha256):
            raise FileError(f"{self.record}: not of the round that the cell was run on")
        record.observation.check(self.observation)
        check_file(self.truth, record.truth.sha256)

    def wanting(self, recorded: bool) -> list[Path]:
        """Those of the two files that are missing or damaged; both where it is not known what they were.

        Args:
            recorded: whether rounds have records here; folders of older versions have none.

        Raises:
            AccessError: this user must not read one.
        """
        both = [self.truth, self.observation]
        try:
            record = self.read_record()
        except MissingError:
            return both if recorded else [file for file in both if not file.is_file()]
        except AccessError:
            raise
        except FileError:
            return both
        sums = {self.truth: record.truth.sha256, self.observation: record.observation.sha256}
        return [file for file in both if not file.is_file() or checksum(file) != sums[file]]

    def write(self, observation: Observation, truth: Truth, files: Collection[Path] | None = None) -> None:
        """Keep the round: the truth first, so that no observation lacks one.

        Args:
            observation, truth: of the round.
            files: which of the two are written; `None` for both.

        Raises:
            StorageError: one cannot be written.
            BenchmarkError: it is made again, and is not what it was.
        """
        if files is None or self.truth in files:
            write_tensors(self.truth, {"images": truth.images, "labels": truth.labels})
        if files is None or self.observation in files:
            observation.save(self.observation)
        made = RoundRecord(self.round.observation_id, FileSum.of(self.observation), FileSum.of(self.truth))
        if files is not None:
            self._check_same(made)
        make_folder(self.record.parent)
        write_sealed(self.record, asdict(made))

    def read_truth(self) -> Truth:
        """The private batch.

        Raises:
            FileError: its file is missing or damaged.
        """
        from gifd_bench.tasks.truth import Truth

        if self.record.exists():
            check_file(self.truth, self.read_record().truth.sha256)
        tensors = read_tensors(self.truth)
        return Truth(tensors["images"], tensors["labels"])

    def _check_same(self, made: RoundRecord) -> None:
        try:
            before = self.read_record()
        except FileError:
            return
        for file, now, then in (
            (self.observation, made.observation, before.observation),
            (self.truth, made.truth, before.truth),
        ):
            if now.sha256 != then.sha256:
                raise BenchmarkError(
                    f"{file}: was missing or damaged, and made again it is another file (another "
                    "machine, or other versions): put back a copy, or choose another --output"
                )
