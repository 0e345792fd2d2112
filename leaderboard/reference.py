"""What submissions are held against: the verifier's own observations and truths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

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
    """A protocol's observations, and the private images behind them."""

    observations: ObservationSet
    truths: Mapping[str, Truth]


def reference_of(protocol: Protocol, observations: Path | None, truths: Path | None) -> Reference:
    """The reference of a protocol.

    Args:
        protocol: whose observations and private images are wanted.
        observations: an exported set; `None` makes one, once, in the user's cache.
        truths: the keeper's, of a blind set.

    Raises:
        LeaderboardError: the set is of another protocol, or the private images are not here.
    """
    its = observations_of(protocol, observations)
    if truths is not None:
        folder = TruthFolder(truths)
        return Reference(its, {name: folder.read(name) for name in its.index.observations})
    if its.index.blind:
        raise LeaderboardError(f"{its.path}: a blind set is verified by its keeper: give --truths")
    return Reference(its, truths_of(protocol))


def observations_of(protocol: Protocol, folder: Path | None) -> ObservationSet:
    """The observations of a protocol: an exported set, or one in the user's cache, made there if need be.

    Raises:
        LeaderboardError: the set is of another protocol, or its observations are not the published ones.
    """
    its = ObservationSet(folder or _cached(protocol))
    if its.index.protocol != protocol.key:
        raise LeaderboardError(f"{its.path}: of protocol {its.index.protocol}, not {protocol.key}")
    published = published_index(protocol)
    if published is not None and not its.index.blind:
        check_published(its.index, published)
    return its


def truths_of(protocol: Protocol) -> dict[str, Truth]:
    """The private images of a protocol that is not blind.

    Raises:
        TaskError: the dataset is not here.
    """
    tasks: dict[str, Task] = {}
    found = {}
    for name, one in protocol.rounds.items():
        key = repr(one.task)
        if key not in tasks:
            tasks[key] = one.task.build()
        found[name] = tasks[key].truth(one.target)
    return found


def truths_at_hand(protocol: Protocol) -> dict[str, Truth] | None:
    """The same, or `None` where a dataset is not here."""
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
