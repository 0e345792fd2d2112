"""The names of the settings of a run for people, with the parameters that matter."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.matrix.component import NOUNS, Component
from gifd_bench.benchmark.matrix.defense import NONE, DefenseConfig
from gifd_bench.benchmark.matrix.sweep import value_in_label
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.common.errors import UserError

UNDEFENDED = "no defense"


@dataclass(frozen=True)
class Names:
    """Names of defenses and attacks with their parameters, by their names in the columns of rows.

    Attributes:
        defenses: for instance `noise_std_0.01` to `noise (std 0.01)`, and `none` to `no defense`.
        attacks: for instance `ig_learning_rate_0.1` to `ig (learning_rate 0.1)`; others stay as they were.
    """

    defenses: Mapping[str, str]
    attacks: Mapping[str, str]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Names:
        """The names of everything in some rows."""
        defenses = {row.defense: row.cell.defense for row in rows}
        attacks = {row.attack_name: row for row in rows}
        return cls(
            {label: _defense_name(label, defense) for label, defense in defenses.items()},
            {name: _attack_name(row) for name, row in attacks.items()},
        )

    def defense(self, label: str) -> str:
        """The name of a defense."""
        return self.defenses.get(label, label)

    def attack(self, name: str) -> str:
        """The name of an attack with its prior."""
        return self.attacks.get(name, name)


def is_undefended(defense: DefenseConfig) -> bool:
    """Whether the update is sent as it is."""
    return all(part.name == NONE for part in defense.parts)


def value_text(value: Any) -> str:
    """A parameter's value as text for people."""
    return f"{value:g}" if isinstance(value, float) else without_folder(str(value))


def without_folder(text: str) -> str:
    """The last part of a full path, as its folders tell other people nothing; other texts unchanged."""
    path = Path(text)
    return path.name if path.is_absolute() and path.name else text


def _defense_name(label: str, defense: DefenseConfig) -> str:
    if is_undefended(defense):
        return UNDEFENDED if label == NONE else label
    parameters = [pair for part in defense.parts for pair in part.options.items()]
    changed = [pair for part in defense.parts for pair in _chosen(part)]
    return _with(_without_values(label, parameters), changed)


def _attack_name(row: Row) -> str:
    options = list(row.cell.attack.options.items())
    head = _without_values(row.attack, options)
    if head == row.attack:
        return row.attack_name
    # The options that a sweep is over are named in the label that it made.
    swept = [(name, value) for name, value in options if f"_{name}_" in f"{row.attack}_"[len(head) :]]
    return _with(head, ([("", row.prior)] if row.prior else []) + swept)


def _without_values(label: str, options: Sequence[tuple[str, Any]]) -> str:
    """A label without the parameters that a sweep has added at its end."""
    ends = [f"_{name}_{value_in_label(value)}" for name, value in options]
    while found := next((end for end in ends if label.endswith(end) and label != end), None):
        label = label.removesuffix(found)
    return label


def _with(head: str, parameters: Sequence[tuple[str, Any]]) -> str:
    texts = [f"{name} {value_text(value)}".strip() for name, value in parameters]
    return f"{head} ({', '.join(texts)})" if texts else head


def _chosen(part: Component) -> list[tuple[str, Any]]:
    """The options of a component that have no default or another value.

    If all have their defaults, they are its numbers, because these are its strength.
    """
    defaults = _defaults(part.kind, part.name)
    simple = [
        (name, value)
        for name, value in part.options.items()
        if isinstance(value, (int, float, str)) and not isinstance(value, bool)
    ]
    changed = [(name, value) for name, value in simple if name not in defaults or defaults[name] != value]
    return changed or [(name, value) for name, value in simple if not isinstance(value, str)]


@lru_cache(maxsize=128)
def _defaults(kind: str, name: str) -> dict[str, Any]:
    try:
        parameters = inspect.signature(NOUNS[kind].signature(name)).parameters.values()
    except (UserError, ValueError):
        # The code from outside is not on this machine, so all of its options are shown.
        return {}
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
