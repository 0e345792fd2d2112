"""Some cells of a matrix, by labels: those that are left out, or have other options of attacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.common.registry import unknown


@dataclass(frozen=True)
class Where:
    """The cells that have, on every given axis, the given label or one of the given labels.

    A cell without a prior has no label on that axis, and so does not belong to a selection that gives one.

    Attributes:
        tasks, defenses, priors, attacks: labels; `None` for any.
        targets, seeds: numbers; `None` for any.
    """

    tasks: str | list[str] | None = None
    defenses: str | list[str] | None = None
    priors: str | list[str] | None = None
    attacks: str | list[str] | None = None
    targets: int | list[int] | None = None
    seeds: int | list[int] | None = None

    @cached_property
    def given(self) -> Mapping[str, Sequence[str | int]]:
        """Labels or numbers by axis, for the axes that are given."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {axis: v if isinstance(v, list) else [v] for axis, v in pairs if v is not None}

    def holds(self, cell: Cell) -> bool:
        """Whether a cell belongs to the selection."""
        return all(_LABEL[axis](cell) in wanted for axis, wanted in self.given.items())

    def check(self, key: str, labels: Mapping[str, Sequence[str | int]]) -> None:
        """Check that a cell can belong to the selection.

        Args:
            key: where the selection is in the file.
            labels: all existing labels, by axis.

        Raises:
            BenchmarkError: no axis is given, an axis has no label, or a label does not exist.
        """
        if not self.given or not all(self.given.values()):
            raise BenchmarkError(f"{key}: at least one label is needed; the axes are: {', '.join(labels)}")
        for axis, wanted in self.given.items():
            for label in wanted:
                if label not in labels[axis]:
                    known = [str(one) for one in labels[axis]]
                    raise BenchmarkError(f"{key}.{axis}: {unknown('label', str(label), known)}")


_LABEL: dict[str, Callable[[Cell], str | int | None]] = {
    "tasks": lambda cell: cell.task.label,
    "defenses": lambda cell: cell.defense.label,
    "priors": lambda cell: cell.prior.label if cell.prior else None,
    "attacks": lambda cell: cell.attack.label,
    "targets": lambda cell: cell.target,
    "seeds": lambda cell: cell.seed,
}


@dataclass(frozen=True)
class Override:
    """Options of attacks that differ in some cells; of two overrides of an option, the later one holds.

    Attributes:
        when: the cells, which name attacks.
        set: options by name.
    """

    when: Where
    set: dict[str, Any]

    def config(self) -> dict[str, Any]:
        """The override as plain JSON values."""
        return {"when": dict(self.when.given), "set": self.set}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Override:
        """The inverse of `config`."""
        return cls(Where(**config["when"]), config["set"])
