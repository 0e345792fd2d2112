"""The search for an attack's options, by Optuna."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from gifd_bench.benchmark.errors import BenchmarkError

T = TypeVar("T", str, int, float)
# Trials at random, before the sampler (TPE: Bergstra et al., "Algorithms for hyper-parameter optimization",
# NeurIPS 2011) has anything to go by.
AT_RANDOM = 8


@dataclass(frozen=True)
class TrialDraw:
    """A trial of Optuna, or a finished trial whose values are drawn again.

    It draws as described in `gifd_bench.benchmark.attacks.search_space.Draw`.
    """

    trial: Trial | FrozenTrial

    def log(self, name: str, low: float, high: float) -> float:
        """A number from `low` to `high`, with a uniform logarithm."""
        return self.trial.suggest_float(name, low, high, log=True)

    def uniform(self, name: str, low: float, high: float) -> float:
        """A number from `low` to `high`, uniformly."""
        return self.trial.suggest_float(name, low, high)

    def whole(self, name: str, low: int, high: int) -> int:
        """An integer from `low` to `high`, including both."""
        return self.trial.suggest_int(name, low, high)

    def choice(self, name: str, options: Sequence[T]) -> T:
        """One of several values."""
        picked: T = self.trial.suggest_categorical(name, list(options))
        return picked


@dataclass(frozen=True)
class Tuned:
    """The result of a study.

    Attributes:
        best: the trial with the highest score.
        trials: the number of trials that ended, with or without a score.
        failed: the number of trials without a score.
        seconds: wall-clock time of all trials together.
    """

    best: FrozenTrial
    trials: int
    failed: int
    seconds: float


def tune(
    storage: Path,
    name: str,
    score: Callable[[Trial], float],
    trials: int,
    seed: int,
) -> Tuned:
    """Run the missing trials of a study.

    What a trial tries depends only on the seed and on the trials before it, so a study that was interrupted
    ends like one that was not.

    Args:
        storage: a file that Optuna keeps; a study in it continues.
        name: the name of the study in that file.
        score: returns the score of a trial, higher is better; a `BenchmarkError` is a trial that failed.
        trials: the number of trials in all.
        seed: the seed of the sampler.

    Raises:
        BenchmarkError: no trial had a score.
    """
    optuna.logging.set_verbosity(logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(storage))),
        study_name=name,
        direction="maximize",
        load_if_exists=True,
    )

    def guarded(trial: Trial) -> float:
        try:
            return score(trial)
        except BenchmarkError as error:
            trial.set_user_attr("reason", str(error))
            # Not a failure to Optuna, which calls trials so that were interrupted: this one has ended, and
            # its sampler keeps away from it.
            raise optuna.TrialPruned from error

    while (number := len(_ended(study))) < trials:
        study.sampler = optuna.samplers.TPESampler(
            seed=seed + number, n_startup_trials=AT_RANDOM, multivariate=True
        )
        study.optimize(guarded, n_trials=1)
    ended = _ended(study)[:trials]
    scored = [trial for trial in ended if trial.state is TrialState.COMPLETE]
    if not scored:
        reason = ended[0].user_attrs.get("reason", "no reason is known")
        raise BenchmarkError(f"{name}: not one of {trials} trials had a score; the first: {reason}")
    took = sum(trial.duration.total_seconds() for trial in ended if trial.duration is not None)
    best = max(scored, key=lambda trial: (trial.value, -trial.number))
    return Tuned(best, len(ended), len(ended) - len(scored), took)


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that have a score or failed, in their order, without those that were interrupted."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
