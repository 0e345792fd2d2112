"""Entries of the project's own attacks, made again with today's code and tuned options.

Such an entry claims nothing of its own: what the sandbox made is both what is submitted and the rerun.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.recipe import find_recipe, options_within, recipe_name
from gifd_bench.common.hashing import canonical
from gifd_bench.leaderboard.entries import Entries, Entry
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.observation_set import Index, ObservationSet
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.rerun.answer import RerunAnswer
from gifd_bench.leaderboard.submission.attempts import Attempt, Attempts
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.overrides import overrides_of
from gifd_bench.leaderboard.submission.schema import SOURCE, About, Rerun
from gifd_bench.leaderboard.submission.write import write_submission
from gifd_bench.leaderboard.verification.attack_all import Ordered, attack_all
from gifd_bench.leaderboard.verification.rerun import RerunRequest, prior_here
from gifd_bench.leaderboard.verification.rerun_folder import RerunFolder, rerun_folder, seed_of

FIRST_VERSION = "0.1.0"


@dataclass(frozen=True)
class Renewal:
    """A version of an entry that is to be made.

    Attributes:
        protocol: its track.
        about: what the board says about it.
        rerun: the attack, with its options.
        tuned: labels of the tasks and defenses whose options come from a recipe.
    """

    protocol: Protocol
    about: About
    rerun: Rerun
    tuned: tuple[tuple[str, str], ...]

    @property
    def title(self) -> str:
        """The title for people."""
        return f"{self.protocol.key} {self.about.attack} {self.about.version}"


def own_attacks(entries: Entries) -> list[str]:
    """The names on the board of this project's attacks."""
    return sorted({entry.about.attack for entry in entries.all() if _is_own(entry)})


def renewal_of(
    protocol: Protocol, attack: str, entries: Entries, recipes: Path | None = None, once: bool = True
) -> Renewal | None:
    """What is to be made for an attack on a track.

    Its options are those of the recipe `tuned-VICTIM-DEFENSE` under the largest budget that the track
    grants, if that is at least half of what it grants. Without a recipe, they are those of the newest entry
    of the track, or else of a track with the same budget.

    Args:
        protocol: the track.
        attack: its name on the board.
        entries: the entries, of which the newest says what the board says about the attack.
        recipes: the folder of the recipes; `None` for the bundled ones.
        once: whether not to make again what the newest entry has.

    Returns:
        What is to be made; `None` if the newest entry has already been made in this way, and once is
        enough.

    Raises:
        LeaderboardError: there is no entry of this attack, or there are no options for it.
    """
    here = newest(entry for entry in entries.of(protocol.key) if _is_called(entry, attack))
    others = [entry for entry in entries.all() if _is_called(entry, attack)]
    most = protocol.file.budget.gradient_evaluations
    alike = newest(entry for entry in others if 0.9 * most < _most_spent(entry) <= most)
    base = here or alike or newest(others)
    if base is None:
        raise LeaderboardError(
            f"{attack}: no entry says what it is; submit it once (docs/submitting.md), or choose one of: "
            f"{', '.join(own_attacks(entries))}"
        )
    before = base.submission.file.rerun
    assert before is not None
    options, tuned = dict[tuple[str, str], dict[str, Any]](), []
    for one in protocol.rounds.values():
        labels = one.task.label, one.defense.label
        if labels in options:
            continue
        recipe = _recipe(recipe_name(one.task, one.defense.label), recipes)
        found = options_within(recipe, before.attack.use, most) if recipe else None
        if found is not None:
            tuned.append(labels)
        elif here is None and base is not alike:
            raise LeaderboardError(
                f"{protocol.key}, {attack}: no options for {' and '.join(labels)}: there is no recipe, and "
                f"no entry that spends about {most:,} gradient evaluations"
            )
        else:
            found = before.attack_on(*labels).options
        options[labels] = _resolved(before, found)
    first = next(iter(options.values()))
    rerun = Rerun(
        attack=before.attack.model_copy(update={"options": first}),
        prior=before.prior,
        overrides=overrides_of(first, options),
    )
    if once and here is not None and here.verification.reranked and here.submission.file.rerun == rerun:
        return None
    version = _next(here.about.version) if here else FIRST_VERSION
    today = datetime.now(timezone.utc).date().isoformat()
    about = base.about.model_copy(update={"version": version, "date": today})
    return Renewal(protocol, about, rerun, tuple(tuned))


def make(
    renewal: Renewal, observations: ObservationSet, request: RerunRequest, work: Path
) -> SubmissionFolder:
    """Attack every observation in the sandbox, with seeds that are drawn, and write a submission of it.

    Args:
        renewal: what is made.
        observations: the verifier's own observations.
        request: how they are attacked; its folder receives the answers, so that the verification attacks
            nothing again.
        work: a folder that keeps the answers until then, so that an interrupted run continues.

    Returns:
        The submission.

    Raises:
        RerunRefused: there is no sandbox here.
        RerunFailed: the attack gave no valid answer, or spent more than the track grants.
    """
    how, index = renewal.rerun, observations.index
    prior = prior_here(how.prior, request.weights) if how.prior else None
    folder = RerunFolder(work / work_name(renewal, index))
    drawn = folder.seed()
    answers = attack_all(
        Ordered(how, prior, None), sorted(index.observations), observations, request, drawn, folder
    )
    attempts = Attempts(
        Component.from_config("attack", how.attack.model_dump()),
        Component.from_config("prior", how.prior.model_dump()) if how.prior else None,
        {name: _attempt(answer, seed_of(drawn, name)) for name, answer in answers.items()},
        how.overrides,
    )
    output = folder.path / "submission"
    shutil.rmtree(output, ignore_errors=True)
    submission = write_submission(attempts, observations, renewal.about, output)
    assert request.folder is not None
    kept = rerun_folder(request.folder, submission.checksums(), index)
    shutil.copytree(folder.path, kept.path, ignore=shutil.ignore_patterns("submission"), dirs_exist_ok=True)
    return submission


def _attempt(answer: RerunAnswer, seed: int) -> Attempt:
    spent = answer.gradient_evaluations
    return Attempt(answer.images, answer.labels, spent, answer.seconds, seed)


def work_name(renewal: Renewal, index: Index) -> str:
    """The name of the folder that keeps the answers, from what is run, on which observations."""
    attacked = {name: item.sha256 for name, item in index.observations.items()}
    text = canonical({"rerun": renewal.rerun.model_dump(mode="json"), "observations": attacked})
    return f"{renewal.protocol.key}-{renewal.about.attack}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def newest(entries: Iterable[Entry]) -> Entry | None:
    """The entry of the highest version."""
    return max(entries, key=lambda entry: (_numbers(entry.about.version), entry.date), default=None)


def _is_own(entry: Entry) -> bool:
    how = entry.submission.file.rerun
    return how is not None and not how.attack.use.startswith(SOURCE)


def _is_called(entry: Entry, attack: str) -> bool:
    return entry.about.attack == attack and _is_own(entry)


def _most_spent(entry: Entry) -> int:
    return max(score.gradient_evaluations for score in entry.verification.scores.values())


def _resolved(before: Rerun, options: dict[str, Any]) -> dict[str, Any]:
    """Every option of the attack, checked."""
    name = before.attack.use
    return dict(Component("attack", name, before.attack.label, {}).with_options(options).options)


def _recipe(name: str, folder: Path | None) -> str | None:
    if folder is not None:
        path = folder / f"{name}.yaml"
        return str(path) if path.is_file() else None
    try:
        return str(find_recipe(name))
    except BenchmarkError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _next(version: str) -> str:
    """The next minor version."""
    major, minor, *_ = *_numbers(version), 0
    return f"{major}.{minor + 1}.0"
