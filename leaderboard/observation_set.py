"""The observations of a protocol as files: everything that a challenger needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.common.files import read_json
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.fingerprint import BUCKETS, fingerprint, is_same
from gifd_bench.leaderboard.text import Line, Sha256, Strict, first_error
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import load_observation

FORMAT: Literal["gifd-bench/observation-set/1"] = "gifd-bench/observation-set/1"
Name = Annotated[str, Field(pattern=r"^[0-9]{3,6}$")]


class Item(Strict):
    """One observation of a set.

    Attributes:
        sha256: the SHA-256 of its file.
        fingerprint: see `gifd_bench.leaderboard.fingerprint`.
        task, defense: their labels, for tables.
        images, size: the number of requested images, and their height and width in pixels.
        classes: the number of classes of the victim; labels are below it.
        round: a hash of the round's configuration, by which runs recognize it; `None` in a blind set.
    """

    sha256: Sha256
    fingerprint: Annotated[list[float], Field(min_length=BUCKETS, max_length=BUCKETS)]
    task: Line
    defense: Line
    images: Annotated[int, Field(ge=1, le=64)]
    size: Annotated[int, Field(ge=1, le=4096)]
    classes: Annotated[int, Field(ge=1)]
    round: str | None


class Index(Strict):
    """`index.json`.

    Attributes:
        protocol: its key.
        blind: whether the images are withheld from everyone but the keeper.
        title, description, gradient_evaluations, metrics: the protocol's, for people.
        observations: by name; the file is NAME.safetensors.
    """

    format: Literal["gifd-bench/observation-set/1"]
    protocol: Line
    blind: bool
    title: Line
    description: Line
    gradient_evaluations: Annotated[int, Field(ge=1)]
    metrics: list[str]
    observations: Annotated[dict[Name, Item], Field(min_length=1)]


@dataclass(frozen=True)
class ObservationSet:
    """A folder that `gifd-bench leaderboard export` made."""

    path: Path

    @property
    def index_file(self) -> Path:
        """What is in the set, with checksums."""
        return self.path / "index.json"

    @cached_property
    def index(self) -> Index:
        """The content of `index.json`.

        Raises:
            LeaderboardError: there is none, or it is damaged.
        """
        if not self.index_file.is_file():
            raise LeaderboardError(f"{self.path}: holds no observations (there is no index.json in it)")
        try:
            return Index.model_validate(read_json(self.index_file))
        except ValidationError as error:
            raise LeaderboardError(f"{self.index_file}: {first_error(error)}") from error

    def file(self, name: str) -> Path:
        """The file of an observation."""
        return self.path / f"{name}.safetensors"

    def load(self, name: str) -> Observation:
        """Load an observation, after comparing its checksum.

        Raises:
            LeaderboardError: the file is missing, or is not the one that was exported.
        """
        path = self.file(name)
        if not path.is_file() or path.is_symlink():
            raise LeaderboardError(f"{path}: no such observation file; export the protocol again")
        if checksum(path) != self.index.observations[name].sha256:
            raise LeaderboardError(f"{path}: not the file that was exported; export the protocol again")
        return load_observation(path)


def item_of(path: Path, observation: Observation, one: Round, blind: bool) -> Item:
    """The index's item for an observation that was written to a file."""
    return Item(
        sha256=checksum(path),
        fingerprint=fingerprint(observation),
        task=one.task.label,
        defense=one.defense.label,
        images=observation.batch_size,
        size=max(observation.model.image_shape[1:]),
        classes=observation.model.num_classes,
        round=None if blind else one.observation_id,
    )


def same_observation(one: Item, other: Item) -> bool:
    """Whether two items belong to one observation: one file, or one observation made on two machines."""
    return one.sha256 == other.sha256 or is_same(one.fingerprint, other.fingerprint)


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
