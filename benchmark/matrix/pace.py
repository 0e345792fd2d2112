"""The time of a gradient evaluation of an attack on this machine, measured by starting the attack."""

from __future__ import annotations

import time
from contextlib import suppress

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.invert import invert
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.observation import Observation

MOST_ITERATIONS = 50


def seconds_of(attack: Attack, observation: Observation, prior: Prior | None, limit: float) -> float:
    """The seconds of a gradient evaluation, on average over the first iterations of an attack.

    Args:
        attack: an attack that was just made from its options.
        observation: what it attacks.
        prior: the prior, for attacks that need one.
        limit: seconds of wall-clock time; the iteration that exceeds them is completed, and there is at
            least one.
    """
    watch = _Stopwatch(attack, MOST_ITERATIONS, limit)
    with suppress(_Enough):
        invert(attack, observation, prior, 0, callbacks=[watch])
    return watch.seconds()


class _Enough(Exception):
    """Enough iterations are done, or enough time has passed."""


class _Stopwatch(Callback):
    """Ends an inversion early.

    Args:
        attack: the attack of the inversion.
        iterations: end after this many iterations.
        seconds: or after this time.

    Attributes:
        marks: the time, and the gradient evaluations so far, at the start and after each iteration.
    """

    def __init__(self, attack: Attack, iterations: int, seconds: float) -> None:
        self.attack, self.iterations, self.limit = attack, iterations, seconds
        self.marks: list[tuple[float, int]] = []

    def on_train_start(self, trainer: pl.Trainer, *args: object) -> None:
        self._mark()

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        self._mark()
        if len(self.marks) > self.iterations or self.marks[-1][0] - self.marks[0][0] > self.limit:
            raise _Enough

    def seconds(self) -> float:
        """The seconds of an evaluation, over all iterations except the first, which sets things up.

        If there is only one iteration, it counts.
        """
        began, before = self.marks[1 if len(self.marks) > 2 else 0]
        ended, after = self.marks[-1]
        return (ended - began) / max(1, after - before)

    def _mark(self) -> None:
        if torch.cuda.is_available():  # The device must have finished what it was asked for.
            torch.cuda.synchronize()
        self.marks.append((time.monotonic(), self.attack.progress.gradient_evaluations))
