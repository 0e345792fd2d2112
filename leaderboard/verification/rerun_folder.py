"""The answers of a rerun, stored one by one, so that an interrupted rerun continues where it stopped."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError
from torch import Tensor

from gifd_bench.common.files import make_folder, read_json, read_tensors, write_json, write_tensors
from gifd_bench.common.hashing import canonical
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.observation_set import Index
from gifd_bench.leaderboard.rerun.answer import RerunAnswer
from gifd_bench.leaderboard.rerun.earlier import Earlier, as_tensors, taken_from
from gifd_bench.leaderboard.text import Strict, first_error

SEED_BITS = 62
Model = TypeVar("Model", bound=Strict)


class _Drawn(Strict):
    """The content of `seed.json`."""

    seed: int = Field(ge=0, lt=1 << SEED_BITS)


class _Spent(Strict):
    """The content of `NAME.json`, which is written after the images to which it belongs."""

    # Of older versions, which believed it.
    matching_loss: float | None = None
    gradient_evaluations: int
    seconds: float


@dataclass(frozen=True)
class RerunFolder:
    """A folder of the verifier for the rerun of one submission."""

    path: Path

    def seed(self) -> int:
        """The number from which the attack's seeds are drawn.

        It was drawn at random the first time, so nobody could have chosen it.

        Raises:
            LeaderboardError: the file is damaged.
        """
        file = self.path / "seed.json"
        if not file.is_file():
            make_folder(self.path)
            write_json(file, {"seed": secrets.randbits(SEED_BITS)})
        return self._read(file, _Drawn).seed

    def images(self, name: str) -> Path:
        """The file of the answer to an observation."""
        return self.path / f"{name}.safetensors"

    def get(self, name: str) -> RerunAnswer | None:
        """An answer, if it was given before.

        Raises:
            LeaderboardError: its file is damaged.
        """
        file = self.path / f"{name}.json"
        if not file.is_file():
            return None
        spent, tensors = self._read(file, _Spent), read_tensors(self.images(name))
        return RerunAnswer(
            tensors["images"],
            tensors["labels"],
            spent.gradient_evaluations,
            spent.seconds,
            self._earlier(name, tensors["images"]),
        )

    def put(self, name: str, answer: RerunAnswer) -> None:
        """Store an answer."""
        make_folder(self.path)
        write_tensors(self.images(name), {"images": answer.images, "labels": answer.labels})
        if answer.earlier:
            write_tensors(self._earlier_file(name), as_tensors(answer.earlier))
        write_json(
            self.path / f"{name}.json",
            {
                "gradient_evaluations": answer.gradient_evaluations,
                "seconds": answer.seconds,
            },
        )

    def _earlier_file(self, name: str) -> Path:
        return self.path / f"{name}.earlier.safetensors"

    def _earlier(self, name: str, images: Tensor) -> tuple[Earlier, ...]:
        file = self._earlier_file(name)
        return taken_from(read_tensors(file), images.shape) if file.is_file() else ()

    def _read(self, file: Path, model: type[Model]) -> Model:
        try:
            return model.model_validate(read_json(file))
        except ValidationError as error:
            raise LeaderboardError(f"{file}: {first_error(error)}") from error


def rerun_folder(root: Path, submission: Mapping[str, str], index: Index) -> RerunFolder:
    """The folder of a submission's rerun, for these files and these observations.

    Args:
        root: the folder of all reruns.
        submission: SHA-256 of its files, by path.
        index: the index of the observations.
    """
    attacked = {name: item.sha256 for name, item in index.observations.items()}
    # Answers of older versions came with counts of their own.
    text = canonical({"submission": dict(submission), "observations": attacked, "counted": "by the oracle"})
    return RerunFolder(root / hashlib.sha256(text.encode()).hexdigest()[:32])


def seed_of(drawn: int, name: str) -> int:
    """The seed of the attack on one observation."""
    digest = hashlib.sha256(f"{drawn}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)
