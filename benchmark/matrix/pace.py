"""How much work an attack is, found by starting it: its options do not say what an iteration costs."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.invert import invert
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel

SMALL = 8
PROBED = 2
TIMED = 50


@dataclass(frozen=True)
class Pace:
    """What an inversion costs, on average over its first iterations.

    Attributes:
        evaluations: gradient evaluations of an iteration.
        seconds: of a gradient evaluation.
    """

    evaluations: float
    seconds: float


class _Enough(Exception):
    """So many iterations are done, or so much time is over."""


class _Stopwatch(Callback):
    """Ends an inversion early.

    Args:
        attack: of that inversion.
        iterations: after so many.
        seconds: or after so much time.

    Attributes:
        marks: time, and gradient evaluations so far, at the start and after each iteration.
    """

    def __init__(self, attack: Attack, iterations: int, seconds: float) -> None:
        self.attack, self.iterations, self.seconds = attack, iterations, seconds
        self.marks: list[tuple[float, int]] = []

    def on_train_start(self, trainer: pl.Trainer, *args: object) -> None:
        self._mark()

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        self._mark()
        if len(self.marks) > self.iterations or self.marks[-1][0] - self.marks[0][0] > self.seconds:
            raise _Enough

    def pace(self) -> Pace:
        """Of all iterations but the first, which sets things up, where there are others."""
        evaluations = self.marks[-1][1] / (len(self.marks) - 1)
        began, before = self.marks[1 if len(self.marks) > 2 else 0]
        ended, after = self.marks[-1]
        return Pace(evaluations, (ended - began) / max(1, after - before))

    def _mark(self) -> None:
        if torch.cuda.is_available():  # What was asked of the device must have been done.
            torch.cuda.synchronize()
        self.marks.append((time.monotonic(), self.attack.progress.gradient_evaluations))


def measure(attack: Attack, observation: Observation, prior: Prior | None, seconds: float) -> Pace:
    """Run the first iterations of an attack.

    Args:
        attack: fresh from its hyperparameters.
        observation: see there.
        prior: for attacks that need one.
        seconds: of wall time; the iteration in which they are over is ended, and there is at least one.
    """
    return _start(attack, observation, prior, TIMED, seconds, "auto")


def evaluations_of(attack: Attack, prior: Prior | None) -> float | None:
    """Gradient evaluations of an iteration: the mean over an attack's first two, on a tiny victim.

    Args:
        attack: fresh from its hyperparameters.
        prior: for attacks that need one.

    Returns:
        Null for an attack that does not run on a tiny victim.
    """
    try:
        return _start(attack, tiny_observation(), prior, PROBED, float("inf"), "cpu").evaluations
    except Exception:  # Anybody's attack, on an image that it may not be made for.
        return None


def iterations_of(attack: Attack, prior: Prior | None) -> int:
    """Inversion iterations over all stages and restarts.

    Args:
        attack: fresh from its hyperparameters.
        prior: for attacks that need one.

    Raises:
        BenchmarkError: the attack's options do not fit the prior.
    """
    attack.observe(tiny_observation(), prior, 0)
    return attack.iterations


@lru_cache(maxsize=1)
def tiny_observation() -> Observation:
    """One photograph at 8x8, with everything granted."""
    granted = ThreatModel(labels="known", defense="parameters")
    task = Task(Photos(SMALL), "convnet", {"width": 2}, TaskSettings(threat_model=granted))
    return task.observe(task.truth(0), NoDefense(), model_seed=0, defense_seed=0)


def _start(
    attack: Attack,
    observation: Observation,
    prior: Prior | None,
    iterations: int,
    seconds: float,
    device: str,
) -> Pace:
    watch = _Stopwatch(attack, iterations, seconds)
    with suppress(_Enough):
        invert(attack, observation, prior, 0, callbacks=[watch], accelerator=device)
    return watch.pace()
