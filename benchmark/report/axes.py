"""Settings that differ in a number: a parameter of defenses or attacks that is an axis of charts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.report.naming import value_text

# An axis is logarithmic if the largest value is at least this many times the smallest.
DECADE = 10.0
Parameter = tuple[int, str]


@dataclass(frozen=True)
class ParameterAxis:
    """Settings made of the same components that differ in one number.

    Attributes:
        component: the names of their components without files and packages, such as `gaussian_noise`.
        parameter: the parameter that differs, such as `std`.
        values: the values by the label of each setting, in ascending order.
        others: what else distinguishes these settings from others of the same components; mostly empty.
    """

    component: str
    parameter: str
    values: Mapping[str, float]
    others: str = ""

    @property
    def title(self) -> str:
        """The title of the axis."""
        head = f"{self.component} {self.parameter}"
        return f"{head} ({self.others})" if self.others else head

    @property
    def logarithmic(self) -> bool:
        """Whether the values are positive and span a factor of ten or more."""
        low, high = min(self.values.values()), max(self.values.values())
        return low > 0 and high / low >= DECADE


def parameter_axes(settings: Mapping[str, Sequence[Component]]) -> list[ParameterAxis]:
    """The axes among some settings.

    Args:
        settings: the components of each, by its label.

    Returns:
        One axis for settings that differ in a single number. Of those that differ in several options, the
        number with the most values is the axis, and there is one for every choice of the others.
    """
    families: dict[tuple[str, ...], list[str]] = {}
    for label, parts in settings.items():
        families.setdefault(tuple(part.name for part in parts), []).append(label)
    return [
        axis
        for labels in families.values()
        for axis in _axes({label: settings[label] for label in labels})
        if len(axis.values) > 1
    ]


def _axes(family: Mapping[str, Sequence[Component]]) -> list[ParameterAxis]:
    options = {label: _options(parts) for label, parts in family.items()}
    names = list(dict.fromkeys(name for found in options.values() for name in found))
    values = {name: [found.get(name) for found in options.values()] for name in names}
    differing = [name for name in names if any(value != values[name][0] for value in values[name])]
    numbers = [name for name in differing if all(_is_number(value) for value in values[name])]
    if not numbers:
        return []
    axis = max(numbers, key=lambda name: len(set(values[name])))
    rest = [name for name in differing if name != axis]
    groups: dict[str, dict[str, float]] = {}
    for label, found in options.items():
        others = ", ".join(f"{name[1]} {value_text(found.get(name))}" for name in rest)
        groups.setdefault(others, {})[label] = float(found[axis])
    # Of `folder/my_defense.py:Mask`, a chart names the class; where the file lies is no title.
    component = " + ".join(re.split("[:.]", part.name)[-1] for part in next(iter(family.values())))
    return [
        ParameterAxis(component, axis[1], dict(sorted(found.items(), key=lambda pair: pair[1])), others)
        for others, found in groups.items()
        if len(set(found.values())) == len(found)
    ]


def _options(parts: Sequence[Component]) -> dict[Parameter, Any]:
    return {(k, name): value for k, part in enumerate(parts) for name, value in part.options.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
