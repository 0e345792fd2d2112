"""What was run, and with what: the head of a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.report.naming import without_folder
from gifd_bench.benchmark.results.rows import Row


@dataclass(frozen=True)
class ShownEntry:
    """One entry of an axis: its label, and what is behind it."""

    label: str
    uses: tuple[str, ...]


@dataclass(frozen=True)
class ShownAxis:
    """One axis of the matrix."""

    name: str
    entries: tuple[ShownEntry, ...]


def axes_of(matrix: Matrix) -> list[ShownAxis]:
    """The axes of a matrix with every option, including those with their defaults."""
    tasks = (
        ShownEntry(
            t.label,
            (
                f"dataset {_component(t.dataset)}",
                f"model {_component(t.model)}",
                _options(t.config()["settings"]),
            ),
        )
        for t in matrix.tasks
    )
    defenses = (ShownEntry(d.label, tuple(_component(part) for part in d.parts)) for d in matrix.defenses)
    axes = [
        ShownAxis("tasks", tuple(tasks)),
        ShownAxis("defenses", tuple(defenses)),
        ShownAxis("priors", tuple(ShownEntry(p.label, (_component(p),)) for p in matrix.priors)),
        ShownAxis("attacks", tuple(ShownEntry(a.label, (_component(a),)) for a in matrix.attacks)),
        ShownAxis("targets", (ShownEntry(_numbers(matrix.targets), ()),)),
        ShownAxis("seeds", (ShownEntry(_numbers(matrix.seeds), ()),)),
    ]
    return [axis for axis in axes if axis.entries]


def circumstances_of(rows: Sequence[Row]) -> dict[str, str]:
    """Versions, commits and machines of all results, each with every value that occurs."""
    values: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, value in row.circumstances.items():
            if value is not None:
                values.setdefault(name, {})[str(value)] = None
    return {name: ", ".join(sorted(found)) for name, found in values.items()}


def _component(component: Component) -> str:
    name = without_folder(component.name)
    return f"{name}: {_options(component.options)}" if component.options else name


def _options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in options.items())


def _value(value: Any) -> str:
    return without_folder(value) if isinstance(value, str) else json.dumps(_without_folders(value))


def _without_folders(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_folders(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_folders(one) for one in value]
    return without_folder(value) if isinstance(value, str) else value


def _numbers(numbers: Sequence[int]) -> str:
    """Numbers, with consecutive ones joined: `0 to 9, 12`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(texts)
