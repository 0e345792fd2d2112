"""One round of federated learning, which is attacked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from gifd_bench.benchmark.matrix.defense import DefenseConfig
from gifd_bench.benchmark.matrix.task import TaskConfig
from gifd_bench.common.hashing import digest, stream

if TYPE_CHECKING:
    from gifd_bench.tasks.observation import Observation
    from gifd_bench.tasks.task import Task
    from gifd_bench.tasks.truth import Truth


@dataclass(frozen=True)
class Round:
    """Everything on which an observation depends: task x defense x target x seed.

    Rounds that do the same are the same round, whatever their parts are called.
    """

    task: TaskConfig
    defense: DefenseConfig
    target: int
    seed: int

    @cached_property
    def observation_id(self) -> str:
        """A hash of what the round does: 16 hexadecimal digits.

        Cells that share it attack the same update.
        """
        return digest(self.parts())

    def parts(self) -> dict[str, str]:
        """The canonical text of each part."""
        return {
            "task": self.task.canonical,
            "defense": self.defense.canonical,
            "target": str(self.target),
            "seed": str(self.seed),
        }

    @property
    def model_seed(self) -> int:
        """The seed of the victim's weights, which rounds with the same seed and model share."""
        return stream(self.seed, "model")

    @property
    def defense_seed(self) -> int:
        """The seed of the defense's randomness; each kind of defense draws from a stream of its own."""
        return stream(self.seed, "defense", self.target)

    @property
    def imports(self) -> frozenset[str]:
        """The names of models, losses and defenses from outside that observations of this round may use.

        The owner of the matrix has given these names.
        """
        parts = (self.task.model, *self.defense.parts)
        named = {part.name for part in parts if part.code is not None}
        return frozenset({*named, self.task.settings.client.loss.use})

    def play(self, task: Task) -> tuple[Observation, Truth]:
        """What the server sees of this round, and what it must not see.

        Args:
            task: the task that `self.task` builds; rounds may share it.
        """
        truth = task.truth(self.target)
        return task.observe(truth, self.defense.build(), self.model_seed, self.defense_seed), truth
