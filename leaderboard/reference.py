"""What submissions are compared with: the verifier's own observations and truths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from gifd_bench.benchmark.matrix.task import training_split
from gifd_bench.benchmark.scoring.identification import Lineup
from gifd_bench.benchmark.scoring.registry import IDENTIFICATION
from gifd_bench.common.cache import cache_folder
from gifd_bench.common.files import make_folder
from gifd_bench.common.hashing import canonical, short_hash
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.export import TruthFolder, check_published, export, published_index
from gifd_bench.leaderboard.observation_set import ObservationSet
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.truth import Truth


@dataclass(frozen=True)
class Reference:
    """A protocol's observations, and their private images.

    Attributes:
        observations: the verifier's own observations.
        truths: the private images, by the names of the observations.
        others: the other images for identification, by the names of the observations; empty if the protocol
            does not ask for identification, or the dataset is not on this machine.
    """

    observations: ObservationSet
    truths: Mapping[str, Truth]
    others: Mapping[str, Lineup] = field(default_factory=dict)


def reference_of(protocol: Protocol, observations: Path | None, truths: Path | None) -> Reference:
    """The reference of a protocol.

    Args:
        protocol: the protocol whose observations and private images are wanted.
        observations: an exported set; `None` makes one, once, in the user's cache.
        truths: the truths of a blind set, from its keeper.

    Raises:
        LeaderboardError: the set belongs to another protocol, or the private images are not on this
            machine.
    """
    observation_set = observations_of(protocol, observations)
    if truths is not None:
        folder = TruthFolder(truths)
        read = {name: folder.read(name) for name in observation_set.index.observations}
        return Reference(observation_set, read, others_of(protocol))
    if observation_set.index.blind:
        raise LeaderboardError(
            f"{observation_set.path}: a blind set is verified by its keeper: give --truths"
        )
    return Reference(observation_set, truths_of(protocol), others_of(protocol))


def observations_of(protocol: Protocol, folder: Path | None) -> ObservationSet:
    """The observations of a protocol: an exported set, or one in the user's cache, which is made if needed.

    Raises:
        LeaderboardError: the set belongs to another protocol, or its observations are not the published
            ones.
    """
    observation_set = ObservationSet(folder or _cached(protocol))
    if observation_set.index.protocol != protocol.key:
        raise LeaderboardError(
            f"{observation_set.path}: of protocol {observation_set.index.protocol}, not {protocol.key}"
        )
    published = published_index(protocol)
    if published is not None and not observation_set.index.blind:
        check_published(observation_set.index, published)
    return observation_set


def truths_of(protocol: Protocol) -> dict[str, Truth]:
    """The private images of a protocol that is not blind.

    Raises:
        TaskError: the dataset is not on this machine.
    """
    tasks: dict[str, Task] = {}
    found = {}
    for name, one in protocol.rounds.items():
        key = repr(one.task)
        if key not in tasks:
            tasks[key] = one.task.build()
        found[name] = tasks[key].truth(one.target)
    return found


def others_of(protocol: Protocol) -> dict[str, Lineup]:
    """Other images of the datasets, if the protocol asks for identification; see `Reference`."""
    if not set(protocol.file.metrics) & set(IDENTIFICATION):
        return {}
    lineups: dict[str, Lineup] = {}
    found = {}
    for name, one in protocol.rounds.items():
        dataset = training_split(one.task.dataset)
        if dataset.canonical not in lineups:
            try:
                lineups[dataset.canonical] = Lineup(dataset.build())
            except TaskError:
                # A keeper of a blind set may have its private images and not the dataset.
                continue
        found[name] = lineups[dataset.canonical]
    return found


def truths_at_hand(protocol: Protocol) -> dict[str, Truth] | None:
    """The private images of a protocol; `None` if a dataset is not on this machine."""
    try:
        return truths_of(protocol)
    except TaskError:
        return None


def _cached(protocol: Protocol) -> Path:
    """A folder of the user's cache that holds the protocol's observations."""
    rounds = canonical({name: one.observation_id for name, one in protocol.rounds.items()})
    folder = cache_folder() / "leaderboard" / f"{protocol.key}-{short_hash(rounds)}"
    make_folder(folder.parent)
    # Of two verifications that begin at once, one makes it and the other waits.
    with FileLock(f"{folder}.lock"):
        if not (folder / "index.json").is_file():
            export(protocol, folder, None)
    return folder
