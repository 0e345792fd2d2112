"""Attacking several observations, each in a sandbox of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gifd_bench.leaderboard.observation_set import Index, ObservationSet
from gifd_bench.leaderboard.rerun.answer import Answer
from gifd_bench.leaderboard.rerun.errors import RerunFailed
from gifd_bench.leaderboard.rerun.order import Order
from gifd_bench.leaderboard.rerun.rerun import attack_again
from gifd_bench.leaderboard.submission.schema import Rerun
from gifd_bench.leaderboard.verification.rerun_folder import RerunFolder, seed_of

if TYPE_CHECKING:
    from gifd_bench.leaderboard.verification.rerun import Again


@dataclass(frozen=True)
class Ordered:
    """What attacks all of the observations.

    Attributes:
        how: as a submission says it.
        prior: with its files where they are on this machine, or `None`.
        source: the submitted file, where there is one.
    """

    how: Rerun
    prior: Mapping[str, Any] | None
    source: Path | None


def attack_all(
    ordered: Ordered,
    names: Collection[str],
    observations: ObservationSet,
    again: Again,
    drawn: int,
    folder: RerunFolder | None,
) -> dict[str, Answer]:
    """Attack observations in sandboxes of their own, `again.jobs` of them at a time.

    Args:
        ordered: the attack.
        names: of the observations.
        observations: the verifier's own.
        again: the limits, and who is told.
        drawn: what each observation's seed is drawn from.
        folder: that keeps the answers, and has those that were given before.

    Raises:
        RerunRefused: there is no sandbox here.
        RerunFailed: the attack gave no valid answer, or spent more than the set grants.
    """
    most = observations.index.gradient_evaluations

    def attack(name: str) -> Answer:
        kept = folder.get(name) if folder else None
        if kept is not None:
            return kept
        again.progress(name)
        item = observations.index.observations[name]
        order = Order(
            attack=ordered.how.attack_on(item.task, item.defense).model_dump(),
            prior=ordered.prior,
            seed=seed_of(drawn, name),
            most=most,
            source=ordered.source,
        )
        try:
            found = attack_again(observations.file(name), order, again.limits)
        except RerunFailed as error:
            raise RerunFailed(f"{name}: {error}") from error
        if folder:
            folder.put(name, found)
        return found

    with ThreadPoolExecutor(again.jobs) as pool:
        running = {name: pool.submit(attack, name) for name in names}
        try:
            return {name: each.result() for name, each in running.items()}
        finally:
            pool.shutdown(cancel_futures=True)


def labels_of(index: Index) -> tuple[set[str], set[str]]:
    """Those of the tasks and of the defenses of a set."""
    items = index.observations.values()
    return {item.task for item in items}, {item.defense for item in items}
