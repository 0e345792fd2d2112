"""Attacking several observations, each in a process of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue
from typing import TYPE_CHECKING, Any

from gifd_bench.leaderboard.observation_set import Index, ObservationSet
from gifd_bench.leaderboard.rerun.answer import RerunAnswer
from gifd_bench.leaderboard.rerun.errors import RerunFailed
from gifd_bench.leaderboard.rerun.job import RerunJob, Submitted
from gifd_bench.leaderboard.rerun.runner import SandboxRunner
from gifd_bench.leaderboard.submission.schema import Rerun
from gifd_bench.leaderboard.verification.rerun_folder import RerunFolder, seed_of

if TYPE_CHECKING:
    from gifd_bench.leaderboard.verification.rerun import RerunRequest


@dataclass(frozen=True)
class Ordered:
    """The attack on all of the observations.

    Attributes:
        how: the attack in the form of a submission.
        prior: the prior with its files as they are on this machine, or `None`.
        source: the submitted file, if there is one.
    """

    how: Rerun
    prior: Mapping[str, Any] | None
    source: Path | None


def attack_all(
    ordered: Ordered,
    names: Collection[str],
    observations: ObservationSet,
    request: RerunRequest,
    drawn: int,
    folder: RerunFolder | None,
) -> dict[str, RerunAnswer]:
    """Attack observations in processes of their own, `request.jobs` of them at a time.

    Args:
        ordered: the attack.
        names: the names of the observations.
        observations: the verifier's own observations.
        request: the limits, and whom to tell.
        drawn: the number from which the seed of each observation is drawn.
        folder: a folder that keeps the answers, and has those that were given before.

    Raises:
        RerunRefused: there is no sandbox here.
        RerunFailed: the attack gave no valid answer, or spent more than the set grants.
    """
    most = observations.index.gradient_evaluations
    # The one that was used last has started already.
    free: LifoQueue[SandboxRunner] = LifoQueue()

    def attack(name: str) -> RerunAnswer:
        kept = folder.get(name) if folder else None
        if kept is not None:
            return kept
        request.progress(name)
        item = observations.index.observations[name]
        job = RerunJob(
            attack=ordered.how.attack_on(item.task, item.defense).model_dump(),
            seed=seed_of(drawn, name),
            most=most,
        )
        runner = free.get()
        try:
            found = runner.attack(observations.file(name), job)
        except RerunFailed as error:
            raise RerunFailed(f"{name}: {error}") from error
        finally:
            free.put(runner)
        if folder:
            folder.put(name, found)
        return found

    with ExitStack() as runners, ThreadPoolExecutor(request.jobs) as pool:
        for _ in range(request.jobs):
            runner = SandboxRunner(Submitted(ordered.prior, ordered.source), request.limits)
            free.put(runners.enter_context(closing(runner)))
        running = {name: pool.submit(attack, name) for name in names}
        try:
            return {name: each.result() for name, each in running.items()}
        finally:
            pool.shutdown(cancel_futures=True)


def labels_of(index: Index) -> tuple[set[str], set[str]]:
    """The labels of the tasks and of the defenses of a set."""
    items = index.observations.values()
    return {item.task for item in items}, {item.defense for item in items}
