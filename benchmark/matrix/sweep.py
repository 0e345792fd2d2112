"""Sweeps: an entry of a matrix with several values for an option stands for one entry for each value.

Types alone decide which lists are sweeps: a list is a sweep if the option does not take that list, but
takes each of its entries. `std: [0.01, 0.1]` is a sweep. `iterations: [20, 40]` of an attack that takes one
number for each stage is not, and `iterations: [[20, 40], [10, 50]]` is one.
"""

from __future__ import annotations

import copy
import json
import re
from argparse import ArgumentError
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import yaml

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.task import settings_from
from gifd_bench.common.errors import UserError

_OVERRIDE = re.compile(r"--(\w+)\.(\w+)\.([\w.]+)=(.+)", re.DOTALL)
# The entry point of a part of a composed defense: `--defenses.both.part2.std=...`.
_PART = re.compile(r"part(\d+)")
Path = tuple[str | int, ...]
Takes = Callable[[Any], bool]


@dataclass(frozen=True)
class SweepEntry:
    """One entry of an axis.

    Attributes:
        key: its name below the axis, made of letters, digits and _.
        label: its name in tables; for an entry of a sweep, the file's label with option and value.
        default: the name of the component if the file gives none: the entry's label in the file.
        spec: the content of the file for this entry.
    """

    key: str
    label: str
    default: str
    spec: Any


@dataclass(frozen=True)
class Swept:
    """Axes without sweeps.

    Attributes:
        entries: the entries of every axis, in their order.
        overrides: the remaining command-line arguments, where those for the label of a sweep are repeated
            for each of its entries.
        labels: the labels of the entries of every sweep, by axis and the file's label.
    """

    entries: Mapping[str, Sequence[SweepEntry]]
    overrides: Sequence[str]
    labels: Mapping[str, Mapping[str, Sequence[str]]]


def without_sweeps(
    axes: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, str], overrides: Sequence[str]
) -> Swept:
    """Replace every sweep by its entries.

    Args:
        axes: the content of the file, by axis and label.
        kinds: the kind of the components of each axis; `task` and `defense` for those with several
            components.
        overrides: command-line arguments; a list for an option in `--axis.label.option=[...]` may also be a
            sweep.

    Raises:
        BenchmarkError: a sweep has the same value twice.
    """
    entries: dict[str, list[SweepEntry]] = {}
    labels: dict[str, dict[str, list[str]]] = {}
    left = list(overrides)
    for axis, specs in axes.items():
        entries[axis], labels[axis] = [], {}
        for label, spec in specs.items():
            made, left = _entries(axis, str(label), spec, kinds[axis], left)
            entries[axis] += made
            if [entry.key for entry in made] != [str(label)]:
                labels[axis][str(label)] = [entry.label for entry in made]
    return Swept(entries, left, labels)


def _entries(
    axis: str, label: str, spec: Any, kind: str, overrides: Sequence[str]
) -> tuple[list[SweepEntry], list[str]]:
    """The entries of one label, and the remaining overrides."""
    mine = {o: m for o in overrides if (m := _OVERRIDE.fullmatch(o)) and m.groups()[:2] == (axis, label)}
    whole = _spelled_out(spec, label, kind)
    taken = [override for override, match in mine.items() if match.group(3).split(".")[-1] == "use"]
    for override in taken:
        whole = _renamed(whole, mine[override].group(3), mine[override].group(4))
    for override, match in mine.items():
        path = _path(match.group(3), whole)
        value = _parsed(match.group(4))
        if isinstance(value, list) and path is not None:
            trial = _with(whole, path, value)
            if _is_sweep(trial, path, kind, label):
                whole = trial
                taken.append(override)
    swept = [path for path in _lists(whole) if _is_sweep(whole, path, kind, label)]
    left = [override for override in overrides if override not in taken]
    if not swept:
        return [SweepEntry(label, label, label, spec)], list(overrides)
    made = []
    for number, values in enumerate(product(*(_get(whole, path) for path in swept)), start=1):
        one = whole
        for path, value in zip(swept, values, strict=True):
            one = _with(one, path, value)
        named = "_".join(f"{path[-1]}_{value_in_label(v)}" for path, v in zip(swept, values, strict=True))
        made.append(SweepEntry(f"{label}__{number}", f"{label}_{named}", label, one))
    if len({entry.label for entry in made}) < len(made):
        raise BenchmarkError(f"{axis}.{label}: a sweep has the same value twice")
    head = f"--{axis}.{label}."
    repeated = [
        f"--{axis}.{entry.key}.{override.removeprefix(head)}" if override in mine else override
        for override in left
        for entry in (made if override in mine else made[:1])
    ]
    return made, repeated


def _spelled_out(spec: Any, label: str, kind: str) -> Any:
    """The content of the file, with mappings in place of names."""
    if isinstance(spec, list):
        return [_spelled_out(one, label, kind) for one in spec]
    if kind == "task" and isinstance(spec, dict):
        parts = {part: _spelled_out(spec[part], "", part) for part in ("dataset", "model") if part in spec}
        return {**spec, **parts}
    return {"use": spec} if isinstance(spec, str) else copy.deepcopy(spec or {})


def _renamed(whole: Any, dotted: str, name: str) -> Any:
    """The content with another component at `dotted`, such as `part2.use`, without its old options."""
    first = dotted.split(".")[0]
    part = _PART.fullmatch(first)
    if isinstance(whole, list):
        number = int(part.group(1)) - 1 if part else -1
        return [
            {"use": name} if k == number and one.get("use") != name else one for k, one in enumerate(whole)
        ]
    if first == "use":
        return whole if whole.get("use") == name else {"use": name}
    return {**whole, first: _renamed(whole.get(first, {}), "use", name)}


def _is_sweep(whole: Any, path: Path, kind: str, label: str) -> bool:
    """Whether an option does not take the list at a path, but takes each of its entries."""
    values = _get(whole, path)
    options, below, takes = _holder(whole, path, kind, label)
    if not values:
        return False
    # Other lists may be sweeps too, and their errors say nothing about this one.
    others = [other for other in _lists(options) if other != below]
    for other in others:
        options = _without(options, other)
    return not takes(_with(options, below, values)) and all(
        takes(_with(options, below, value)) for value in values
    )


def _holder(whole: Any, path: Path, kind: str, label: str) -> tuple[Any, Path, Takes]:
    """The options into which a path leads, the path within them, and a test whether they are accepted."""
    if isinstance(path[0], int):
        part = whole[path[0]]
        return _options(part), path[1:], _component_takes("defense", part.get("use", label))
    if kind != "task":
        return _options(whole), path, _component_takes(kind, whole.get("use", label))
    if path[0] in ("dataset", "model"):
        component = str(path[0])
        default = label if component == "dataset" else "convnet"
        used = whole.get(component, {}).get("use", default)
        return _options(whole.get(component, {})), path[1:], _component_takes(component, used)
    settings = {key: value for key, value in whole.items() if key not in ("dataset", "model")}
    return settings, path, _settings_take


def _options(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key not in ("use", "recipe")}


def _component_takes(kind: str, name: str) -> Takes:
    def takes(options: Any) -> bool:
        try:
            Component(kind, name, name, {}).with_options(options)
        except UserError:
            return False
        return True

    return takes


def _settings_take(settings: Any) -> bool:
    try:
        settings_from(settings)
    except (ArgumentError, ValueError):
        return False
    return True


def _path(dotted: str, whole: Any) -> Path | None:
    """Where an option of the command line is in the content of the file; `None` if it is not an option."""
    first, *rest = dotted.split(".")
    part = _PART.fullmatch(first)
    if part and isinstance(whole, list):
        return (int(part.group(1)) - 1, *rest) if rest and int(part.group(1)) <= len(whole) else None
    return None if isinstance(whole, list) or dotted.split(".")[-1] == "use" else (first, *rest)


def _parsed(text: str) -> Any:
    """A value of the command line, read as YAML, where 1e-4 is a number too."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _lists(value: Any, at: Path = ()) -> Iterator[Path]:
    """The paths of all lists in a mapping; lists in lists are not searched, but for composed defenses."""
    if isinstance(value, list) and at:
        yield at
    elif isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in pairs:
            yield from _lists(one, (*at, key))


def _get(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _with(value: Any, path: Path, new: Any) -> Any:
    """A copy with another value at a path, which is created if it does not exist."""
    if not path:
        return new
    first, *rest = path
    if isinstance(value, list):
        assert isinstance(first, int)
        return [_with(one, tuple(rest), new) if k == first else one for k, one in enumerate(value)]
    content = dict(value) if isinstance(value, dict) else {}
    return {**content, first: _with(content.get(first), tuple(rest), new)}


def _without(value: Any, path: Path) -> Any:
    first, *rest = path
    if not rest:
        return {key: one for key, one in value.items() if key != first}
    return {**value, first: _without(value[first], tuple(rest))}


def value_in_label(value: Any) -> str:
    """A value as part of the label that a sweep makes."""
    if isinstance(value, float):
        return f"{value:g}"
    return re.sub(r"[^\w.+-]+", "-", value if isinstance(value, str) else json.dumps(value)).strip("-")
