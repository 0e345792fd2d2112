"""Rounds of the bundled photographs on a small victim: what a client sent, and the truth."""

from __future__ import annotations

from typing import Any

from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.truth import Truth


def make_task(batch_size: int = 1, size: int = 32, **settings: Any) -> Task:
    """Photographs of `size` pixels, attacked on a network of 4 channels; `settings` are the task's."""
    return Task(Photos(size), "convnet", {"width": 4}, TaskSettings(batch_size=batch_size, **settings))


def make_round(batch_size: int = 1, target: int = 0, **settings: Any) -> tuple[Observation, Truth]:
    """What the client of `make_task` sends without a defense, and what it hides."""
    task = make_task(batch_size, **settings)
    truth = task.truth(target)
    return task.observe(truth, NoDefense(), model_seed=0, defense_seed=0), truth
