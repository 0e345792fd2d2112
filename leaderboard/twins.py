"""Secret twins of the observations of a track, made of images that nobody could know before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.benchmark.matrix.task import TaskConfig
from gifd_bench.common.hashing import stream
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.tasks.selection import Selection

SEED_BITS = 31


class NoTwins(LeaderboardError):
    """The datasets of a track have no images except those that the track uses."""


def draw_twins(protocol: Protocol, count: int, secret: int) -> dict[str, Round]:
    """Rounds of the same datasets, models and defenses, with images that the track does not use.

    Tasks and defenses take turns, so there are equally many twins of each. Where a track's victims have
    random weights, each twin has a victim of its own, whose weights nobody can know either.

    Args:
        protocol: the track.
        count: the largest number of twins.
        secret: a number that determines what is drawn; the first twins are the same for any count.

    Returns:
        The rounds, by names like those of a track; fewer if the datasets have no more images.

    Raises:
        NoTwins: every image is used.
        TaskError: a dataset is not on this machine.
    """
    draw = random.Random(stream(secret, "order"))
    groups: dict[tuple[str, str], list[Round]] = {}
    for one in protocol.rounds.values():
        groups.setdefault((one.task.label, one.defense.label), []).append(one)
    turns = list(groups.values())
    draw.shuffle(turns)
    used = _used(protocol)
    fresh: dict[str, Iterator[tuple[TaskConfig, int]]] = {}
    twins: list[Round] = []
    while turns and len(twins) < count:
        rounds = turns.pop(0)
        like = draw.choice(rounds)
        key = like.task.canonical
        if key not in fresh:
            fresh[key] = _fresh(like.task, used[like.task.dataset.canonical], stream(secret, "images"))
        found = next(fresh[key], None)
        if found is not None:
            task, target = found
            seed = draw.getrandbits(SEED_BITS) if task.settings.weights == "random" else like.seed
            twins.append(replace(like, task=task, target=target, seed=seed))
            turns.append(rounds)
    if not twins:
        raise NoTwins(f"{protocol.key}: its datasets have no images that it does not use")
    return {f"{number:03d}": one for number, one in enumerate(twins)}


def _used(protocol: Protocol) -> dict[str, set[int]]:
    """The indices of the images that a track uses, by dataset."""
    batches = {}
    used: dict[str, set[int]] = {}
    for one in protocol.rounds.values():
        key = one.task.canonical
        if key not in batches:
            batches[key] = one.task.build().batches
        used.setdefault(one.task.dataset.canonical, set()).update(batches[key][one.target])
    return used


def _fresh(task: TaskConfig, used: set[int], seed: int) -> Iterator[tuple[TaskConfig, int]]:
    """Targets of a secret selection that share no image with the track, each with its task."""
    rule = task.settings.selection.rule
    selection = Selection(rule=rule if rule == "unique_labels" else "random", seed=seed >> 1)
    drawn = replace(task, settings=replace(task.settings, selection=selection))
    for target, indices in enumerate(drawn.build().batches):
        if used.isdisjoint(indices):
            yield drawn, target
