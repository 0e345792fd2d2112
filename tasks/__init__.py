"""The victim's side: datasets, models, clients, defenses and what an attacker may see of them."""

from __future__ import annotations

from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import load_observation, save_observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.truth import Truth

__all__ = [
    "Observation",
    "Task",
    "TaskError",
    "TaskSettings",
    "Truth",
    "load_observation",
    "save_observation",
]
