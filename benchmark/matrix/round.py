"""One round of federated learning that is attacked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmark.matrix.defense import DefenseConfig
from benchmark.matrix.task import TaskConfig
from tasks.observation import Observation
from tasks.task import Task
from tasks.truth import Truth


@dataclass(frozen=True)
class Round:
    """What an observation depends on: task x defense x target x seed."""

    task: TaskConfig
    defense: DefenseConfig
    target: int
    seed: int

    @cached_property
    def observation_id(self) -> str:
        """Hash of the resolved configuration: 16 hexadecimal digits. Cells that share it attack the same
        update."""
        return digest(self.parts())

    def parts(self) -> dict[str, str]:
        """The canonical text of each part of the configuration."""
        return {
            "task": self.task.canonical,
            "defense": self.defense.canonical,
            "target": str(self.target),
            "seed": str(self.seed),
        }

    @property
    def model_seed(self) -> int:
        """Of the victim's weights; rounds of one seed share them."""
        return stream(self.seed, "model")

    @property
    def defense_seed(self) -> int:
        """Of the defense's randomness."""
        return stream(self.seed, "defense", self.target)

    def play(self, task: Task) -> tuple[Observation, Truth]:
        """What the server sees of this round, and what it must not see.

        Args:
            task: as `self.task` builds it; rounds may share it.
        """
        truth = task.truth(self.target)
        return task.observe(truth, self.defense.build(), self.model_seed, self.defense_seed), truth


def stream(seed: int, purpose: str, *parts: int) -> int:
    """A seed for one use of randomness, independent of the seeds of all other uses.

    Args:
        seed: of the cell.
        purpose: what is drawn.
        parts: what the use depends on besides.
    """
    tag = int.from_bytes(purpose.encode(), "big")
    (state,) = np.random.SeedSequence([seed, tag, *parts]).generate_state(1, np.uint64)
    return int(state >> np.uint64(1))


def digest(parts: dict[str, str]) -> str:
    """Hash of a mapping whose values are canonical JSON texts already, which many cells share."""
    return short_hash("{" + ",".join(f'"{key}":{parts[key]}' for key in sorted(parts)) + "}")


def short_hash(canonical: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
