"""Making the observations of a protocol, and the truths by which their keeper scores."""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.common.files import (
    make_folder,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.observation_set import (
    FORMAT,
    Index,
    Item,
    ObservationSet,
    item_of,
    same_observation,
)
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.tasks.observation_file import save_observation
from gifd_bench.tasks.selection import Selection
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.truth import Truth


@dataclass(frozen=True)
class TruthFolder:
    """The private images of a set of observations, by their names; it is never handed out."""

    path: Path

    def write(self, name: str, truth: Truth) -> None:
        """Store the truth of an observation."""
        write_tensors(self._file(name), {"images": truth.images, "labels": truth.labels})

    def read(self, name: str) -> Truth:
        """The truth of an observation.

        Raises:
            FileError: it is missing or damaged.
        """
        tensors = read_tensors(self._file(name))
        return Truth(tensors["images"], tensors["labels"])

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.safetensors"


def export(
    protocol: Protocol, output: Path, truths: Path | None, secret: int | None = None
) -> ObservationSet:
    """Run every round of a protocol, and write what the server sees of it.

    Args:
        protocol: the protocol with the rounds.
        output: a folder that does not exist yet, or is empty.
        truths: a folder for the truths, which does not exist yet, or is empty; `None` discards them.
        secret: makes the set blind: a number that the keeper keeps secret, by which the images are drawn at
            random and the observations are shuffled.

    Raises:
        LeaderboardError: a folder is in use, or an observation differs from the published one (because of
            other images, or other versions of what computes it).
    """
    folders = [output, *([truths] if truths else [])]
    for folder in folders:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise LeaderboardError(f"{folder}: is there already; choose a folder of its own")
    if truths and truths.resolve().is_relative_to(output.resolve()):
        raise LeaderboardError(f"{truths}: lies in {output}, which is handed out; keep it elsewhere")
    with ExitStack() as partial:
        # It is made in a folder beside it, which is then renamed, so that an export that fails or is
        # interrupted leaves nothing.
        made = [_beside(folder, partial) for folder in folders]
        rounds = protocol.rounds if secret is None else _blind(protocol.rounds, secret)
        items = _play(rounds, made[0], TruthFolder(made[1]) if truths else None, secret is not None)
        index = _index(protocol, items, secret is not None)
        published = published_index(protocol) if secret is None else None
        if published is not None:
            check_published(index, published)
        write_json(ObservationSet(made[0]).index_file, index.model_dump())
        for folder, beside in zip(folders, made, strict=True):
            beside.replace(folder)
    return ObservationSet(output)


def export_rounds(
    protocol: Protocol, rounds: dict[str, Round], output: Path
) -> tuple[ObservationSet, dict[str, Truth]]:
    """Run rounds that do not belong to a protocol, and write what the server sees of them.

    Args:
        protocol: the protocol whose budget and metrics they have.
        rounds: the rounds by the names of their observations.
        output: a folder of the verifier, which does not exist yet.

    Returns:
        The observations, and the truth of each.
    """
    make_folder(output)
    truths = TruthFolder(output / "truths")
    make_folder(truths.path)
    made = ObservationSet(output)
    index = _index(protocol, _play(rounds, output, truths, blind=True), blind=True)
    write_json(made.index_file, index.model_dump())
    return made, {name: truths.read(name) for name in rounds}


def _beside(folder: Path, partial: ExitStack) -> Path:
    """A new folder on the same disk, which is removed at the end if it still exists."""
    make_folder(folder.parent)
    temporary = partial.enter_context(TemporaryDirectory(prefix=".export-", dir=folder.parent))
    made = Path(temporary) / folder.name
    make_folder(made)
    return made


def _play(
    rounds: dict[str, Round], output: Path, truths: TruthFolder | None, blind: bool
) -> dict[str, Item]:
    """Write the observation of every round and its truth, and return the items of the index."""
    tasks: dict[str, Task] = {}
    items = {}
    for name, one in rounds.items():
        key = repr(one.task)
        if key not in tasks:
            tasks[key] = one.task.build()
        observation, truth = one.play(tasks[key])
        path = output / f"{name}.safetensors"
        save_observation(observation, path)
        items[name] = item_of(path, observation, one, blind)
        if truths:
            truths.write(name, truth)
    return items


def _index(protocol: Protocol, items: dict[str, Item], blind: bool) -> Index:
    return Index(
        format=FORMAT,
        protocol=protocol.key,
        blind=blind,
        title=protocol.file.title,
        description=protocol.file.description,
        gradient_evaluations=protocol.file.budget.gradient_evaluations,
        metrics=protocol.file.metrics,
        observations=items,
    )


def published_index(protocol: Protocol) -> Index | None:
    """The index with which a bundled protocol was published; `None` if it has not been exported yet."""
    path = Path(__file__).parent / "protocols" / f"{protocol.key}.index.json"
    return Index.model_validate(read_json(path)) if path.is_file() else None


def check_published(index: Index, published: Index) -> None:
    """Check that a set holds the observations with which its protocol was published.

    Raises:
        LeaderboardError: it does not.
    """
    if index.observations.keys() != published.observations.keys():
        raise LeaderboardError(
            f"{index.protocol}: other observations than those that it was published with"
        )
    for name, item in index.observations.items():
        if not same_observation(item, published.observations[name]):
            raise LeaderboardError(
                f"{index.protocol}: observation {name} is not the published one: it was made of other "
                "images, or by other versions of what computes it"
            )


def _blind(rounds: dict[str, Round], secret: int) -> dict[str, Round]:
    """The same rounds with other images, in another order."""
    drawn = [
        replace(
            one, task=replace(one.task, settings=replace(one.task.settings, selection=_secretly(secret)))
        )
        for one in rounds.values()
    ]
    random.Random(secret).shuffle(drawn)
    return dict(zip(rounds, drawn, strict=True))


def _secretly(secret: int) -> Selection:
    return Selection(rule="random", seed=secret)
