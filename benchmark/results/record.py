"""Records of cells and processes: each kind of JSON file is read and written by one class."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from gifd_bench.benchmark.inversion.choices import Path as MatchingPath
from gifd_bench.benchmark.results.checksums import read_sealed, write_sealed
from gifd_bench.common.errors import FileError
from gifd_bench.common.files import read_json, write_json

PACKAGES = ("gifd-bench", "torch", "pytorch-lightning", "torchmetrics")
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Ended = Literal["done", "failed", "skipped"]
# The status of a cell that has ended and of which a file has changed since: none of its numbers is used.
DAMAGED: Literal["damaged"] = "damaged"
R = TypeVar("R")


def read_record(kind: type[R], path: Path) -> R:
    """Read a record, and check each of its fields.

    Args:
        kind: its class, a dataclass.
        path: the path of its JSON file.

    Raises:
        FileError: the file is missing, is not JSON, or is not of this kind; one line says which field.
    """
    return checked(kind, read_json(path), path)


def checked(kind: type[R], content: Any, path: Path) -> R:
    """A record from the content of its file, with each of its fields checked.

    Raises:
        FileError: it is not of this kind; one line says which field.
    """
    try:
        return _adapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "its content"
        raise FileError(f"{path}: damaged, or of another version ({where}: {first['msg']})") from error
    except RecursionError as error:
        raise FileError(f"{path}: damaged (nested too deeply)") from error


def _adapter(kind: type[R]) -> TypeAdapter[R]:
    """The cached adapter of a class; making one takes longer than reading a file with it."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


@dataclass(frozen=True)
class Machine:
    """A machine on which something was computed.

    Attributes:
        host, processor, device: their names.
        threads: threads of one operation on the CPU.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    host: str
    processor: str
    device: str
    threads: int


@dataclass(frozen=True)
class Circumstances:
    """Where, and with which code, a result was made.

    Attributes:
        versions: versions of Python and of packages, by name.
        commit: the commit of the checkout that ran, with a plus if files differed from it; `None` for an
            installed package.
        machine: the machine; `None` for a cell that was skipped and did not run.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    versions: dict[str, str]
    commit: str | None
    machine: Machine | None

    @classmethod
    def now(cls, commit: str | None, machine: Machine | None) -> Circumstances:
        """The circumstances of this process."""
        return cls(_versions(), commit, machine)


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Versions of Python and of the packages, looked up once in a process."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


@dataclass(frozen=True)
class StageRecord:
    """What the answer was worth at the end of a stage.

    Attributes:
        name: the name of the stage.
        matching_loss: the matching loss of the best iterate of the stage.
        gradient_evaluations: the evaluations spent by then, over all restarts so far.
        psnr: PSNR of that iterate in dB, mean over the images.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    matching_loss: float
    gradient_evaluations: int
    psnr: float


@dataclass(frozen=True)
class MomentRecord:
    """What the answer would have been worth if the attack had been stopped earlier.

    Attributes:
        gradient_evaluations, seconds: what was spent until then.
        matching_loss: the matching loss of that answer.
        psnr: in dB, mean over the images.
        identified: the share of the images that it identifies, 0 to 1; `None` if identification was not
            computed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    gradient_evaluations: int
    seconds: float
    matching_loss: float
    psnr: float
    identified: float | None


@dataclass(frozen=True)
class DistractorRecord:
    """The other images among which the private images were to be found.

    Attributes:
        count: the number of them.
        of_dataset: how many are images of the private ones' dataset; the others are crops of the bundled
            photographs.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    count: int
    of_dataset: int


@dataclass(frozen=True)
class RoundSums:
    """The files with which a cell was run and scored.

    Attributes:
        observation, truth: the SHA-256 of each.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    observation: str
    truth: str


@dataclass(frozen=True)
class CellRecord:
    """How a cell has ended: the content of `result.json`.

    Attributes:
        status: `done`, `failed` or `skipped`.
        circumstances: where, and with which code, it was made.
        reason: why it failed or was skipped, or why metrics are missing.
        seconds: wall-clock time, without interruptions.
        traceback: the traceback of a failure.
        matching_loss: the matching loss of the reconstruction.
        gradient_evaluations: the evaluations spent, over all restarts.
        per_image: one value for each private image, by the name of the metric; `None` if the metric was not
            available.
        assignment: index of the reconstruction that belongs to each private image.
        stages: the stages of the restart that was returned.
        path: how updates were compared: `factored`, `general` or `mixed`; `None` if it is not known.
        distractors: the distractors of the identification; `None` if identification was not computed.
        cell: its id; `None` in files of older versions.
        files: SHA-256 of the files beside it, by name; empty in files of older versions.
        round: the files with which it was scored; `None` if it was not scored, and in files of older
            versions.
        moments: what earlier answers were worth, after 1, 2, 5, 10, ... gradient evaluations.
        pack: ids of the cells, including its own, that were lanes of one inversion, in their order;
            `seconds` is then its share. Empty if it ran alone.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    status: Ended
    circumstances: Circumstances
    reason: str | None = None
    seconds: float | None = None
    traceback: str | None = None
    matching_loss: float | None = None
    gradient_evaluations: int | None = None
    per_image: dict[str, tuple[float, ...] | None] = field(default_factory=dict)
    assignment: tuple[int, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    path: MatchingPath | None = None
    distractors: DistractorRecord | None = None
    cell: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    round: RoundSums | None = None
    moments: tuple[MomentRecord, ...] = ()
    pack: tuple[str, ...] = ()

    def mean(self, metric: str) -> float | None:
        """A metric's mean over the images, or `None`."""
        values = self.per_image.get(metric)
        return sum(values) / len(values) if values else None

    @property
    def images(self) -> int:
        """The number of images that the metrics cover."""
        return max((len(values) for values in self.per_image.values() if values), default=0)

    def write(self, path: Path) -> None:
        """Write the file, completely or not at all."""
        write_sealed(path, asdict(self))

    @classmethod
    def read(cls, path: Path, sealed: bool = True) -> CellRecord:
        """Read a file that `write` wrote.

        Args:
            path: the path of the file.
            sealed: whether it must have a checksum; files of older versions have none.

        Raises:
            AccessError: this user may not read it.
            FileError: it is missing, damaged, or of another version.
        """
        record = checked(cls, read_sealed(path, sealed), path)
        if record.status == "done" and None in (
            record.matching_loss,
            record.gradient_evaluations,
            record.seconds,
        ):
            raise FileError(f"{path}: damaged, or of another version (a done cell without its numbers)")
        return record


@dataclass(frozen=True)
class AuditRecord:
    """The answer of an attack on one observation file, in numbers.

    Attributes:
        labels: the labels, inferred or granted, in the order of the images.
        class_names: the names of these labels.
        matching_loss: the matching loss of the reconstruction.
        gradient_evaluations: the evaluations spent, over all restarts.
        seconds: wall-clock time, without interruptions.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    matching_loss: float
    gradient_evaluations: int
    seconds: float


@dataclass(frozen=True)
class CellProgress:
    """How far the inversion of a cell is.

    Attributes:
        iteration, iterations: the present iteration, and the number of iterations.
        rate: iterations per second.
        time: when this was written, in seconds since the epoch.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    iteration: int = 0
    iterations: int = 0
    rate: float = 0.0
    time: float = 0.0


def write_record(record: Any, path: Path) -> None:
    """Write a record, completely or not at all.

    Args:
        record: an instance of one of the dataclasses above.
        path: the path of its JSON file.
    """
    write_json(path, asdict(record))
