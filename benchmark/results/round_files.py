"""The files of one round of the clients: what the server sees of it, and what it must not see."""

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
    """The files of a round at the time when they were written.

    Attributes:
        round: the id of the round.
        observation, truth: the files.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    round: str
    observation: FileSum
    truth: FileSum


@dataclass(frozen=True)
class RoundFiles:
    """The files of observation and truth of a round, and whether they have changed.

    Truths are kept apart from observations: an attack that runs elsewhere needs the observation, and must
    not be given the truth.

    Attributes:
        run: the run folder.
        round: the round.
    """

    run: Path
    round: Round

    @property
    def observation(self) -> Path:
        """The file of what the server sees."""
        return self.run / "observations" / f"{self.round.observation_id}.safetensors"

    @property
    def truth(self) -> Path:
        """The file of what the server must not see."""
        return self.run / "truths" / f"{self.round.observation_id}.safetensors"

    @property
    def record(self) -> Path:
        """The file that records both files as they were written."""
        return self.run / "rounds" / f"{self.round.observation_id}.json"

    def read_record(self) -> RoundRecord:
        """The files as they were when they were written.

        Raises:
            AccessError: this user may not read the record.
            FileError: it is missing or damaged.
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
        """Check that the files are those with which a cell was run and scored.

        An observation whose size and time have not changed is not read, because it may be large.

        Raises:
            AccessError: this user may not read one of them.
            FileError: one of them is missing or damaged.
        """
        record = self.read_record()
        if sums != RoundSums(record.observation.sha256, record.truth.sha256):
            raise FileError(f"{self.record}: not of the round that the cell was run on")
        record.observation.check(self.observation)
        check_file(self.truth, record.truth.sha256)

    def wanting(self, recorded: bool) -> list[Path]:
        """Which of the two files are missing or damaged; both if it is not known what they were.

        Args:
            recorded: whether rounds have records here; in folders of older versions, they have none.

        Raises:
            AccessError: this user may not read one of them.
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
        """Store the round: the truth first, so that no observation lacks one.

        Args:
            observation: the observation of the round.
            truth: the truth of the round.
            files: which of the two files are written; `None` for both.

        Raises:
            StorageError: one of them cannot be written.
            BenchmarkError: it was made again, and differs from the first one.
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
