"""One point of the matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.defense import DefenseConfig
from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.benchmark.matrix.task import TaskConfig
from gifd_bench.common.hashing import digest, stream


@dataclass(frozen=True)
class Cell(Round):
    """One attack on one observation: task x defense x prior x attack x target x seed.

    Two cells that do the same are the same cell, whatever their parts are called and whatever file they
    came from. Labels are for display, and nothing that is computed depends on them.
    """

    prior: Component | None
    attack: Component

    def config(self) -> dict[str, Any]:
        """The fully resolved configuration as plain JSON values."""
        return {
            "task": self.task.config(),
            "defense": self.defense.config(),
            "prior": self.prior.config() if self.prior else None,
            "attack": self.attack.config(),
            "target": self.target,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Cell:
        """The inverse of `config`."""
        prior = config["prior"]
        return cls(
            TaskConfig.from_config(config["task"]),
            DefenseConfig.from_config(config["defense"]),
            config["target"],
            config["seed"],
            Component.from_config("prior", prior) if prior else None,
            Component.from_config("attack", config["attack"]),
        )

    @property
    def title(self) -> str:
        """The name of the cell for a person."""
        return f"{self.task.label} {self.target}, {self.defense.label}, {self.attack.label}"

    @cached_property
    def id(self) -> str:
        """A hash of what the cell does, its resolved options without labels: 16 hexadecimal digits."""
        prior = self.prior.canonical if self.prior else "null"
        return digest({**self.parts(), "attack": self.attack.canonical, "prior": prior})

    @property
    def attack_seed(self) -> int:
        """The seed of all randomness of the attack.

        It does not depend on the attack, its options, the prior or the defense, so these are compared on
        the same draws (common random numbers).
        """
        return stream(self.seed, "attack", self.target)
