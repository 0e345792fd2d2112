"""An attack under test, and what it is tested with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction, StageResult
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.invert import Checkpoint, InversionInterrupted, invert
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import Defense, NoDefense
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task


class Broken(AssertionError):
    """A promise is broken; the message says which, and how."""


@dataclass(frozen=True)
class AttackSubject:
    """An attack that is set to a few iterations, with everything that it needs.

    Attributes:
        make: a new instance of it.
        prior: the prior, for attacks that need one.
        folder: an empty folder for files.
    """

    make: Callable[[], Attack]
    prior: Prior
    folder: Path

    def with_restarts(self, restarts: int, at_once: int | None = None) -> AttackSubject:
        """The same attack with another number of restarts, and a number of them that run side by side."""

        def make() -> Attack:
            attack = self.make()
            return type(attack)(replace(attack.options, restarts=restarts, restarts_at_once=at_once))

        return replace(self, make=make)

    def run(self, observation: Observation, seed: int = 0, **more: Any) -> Reconstruction:
        """Run the whole attack, on the CPU."""
        return invert(self.make(), observation, self.prior, seed, accelerator="cpu", **more)

    def interrupt(self, observation: Observation, path: Path, iterations: int) -> None:
        """Run the attack, stop it after some iterations, and leave its checkpoint at `path`."""
        try:
            self.run(observation, checkpoint=Checkpoint(path, 1e9, _StopAfter(iterations)))
        except InversionInterrupted:
            return
        raise Broken(f"it did not stop after {iterations} iterations")

    def resume(self, observation: Observation, path: Path) -> Reconstruction:
        """Continue from a checkpoint to the end."""
        return self.run(observation, checkpoint=Checkpoint(path, 1e9, lambda: False))

    def matching_loss(self, observation: Observation, result: Reconstruction | StageResult) -> float:
        """The loss of what was returned, computed only from the observation."""
        client = SimulatedClient(observation, torch.device("cpu"))
        loss = self.make().loss
        loss.prepare(client.observed)
        targets = result.labels if result.label_probabilities is None else result.label_probabilities
        return float(loss([g.detach() for g in client.update(result.images, targets)]))


class _StopAfter:
    """Asks to stop after a number of iterations."""

    def __init__(self, iterations: int) -> None:
        self.left = iterations

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def small_task(**settings: Any) -> Task:
    """Bundled photographs and a small victim."""
    return Task(Photos(32), "convnet", {"width": 4}, TaskSettings(**settings))


def observe(defense: Defense | None = None, target: int = 1, **settings: Any) -> Observation:
    """An observation of bundled photographs, by a small victim."""
    task = small_task(**settings)
    return task.observe(task.truth(target), defense or NoDefense(), model_seed=0, defense_seed=0)
