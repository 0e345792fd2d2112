"""The defense of a cell: one, or several that are applied one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.common.hashing import canonical

if TYPE_CHECKING:
    from gifd_bench.tasks.defenses.base import Defense


NONE = "none"


@dataclass(frozen=True)
class DefenseConfig:
    """Defenses by their parts.

    Attributes:
        label: their name in tables.
        parts: the defenses in the order in which they are applied; at least one.
    """

    label: str
    parts: tuple[Component, ...]

    def config(self) -> dict[str, Any]:
        """The defenses as plain JSON values."""
        return {"label": self.label, "parts": [part.config() for part in self.parts]}

    @cached_property
    def canonical(self) -> str:
        """What they do, as text, without labels and without parts that do nothing."""
        return canonical([part.identity() for part in self.parts if part.name != NONE])

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DefenseConfig:
        """The inverse of `config`."""
        parts = (Component.from_config("defense", part) for part in config["parts"])
        return cls(config["label"], tuple(parts))

    def build(self) -> Defense:
        """Make the defense."""
        from gifd_bench.tasks.defenses.composition import Composition

        built: tuple[Defense, ...] = tuple(part.build() for part in self.parts)
        return built[0] if len(built) == 1 else Composition(built)
