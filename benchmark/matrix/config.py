"""Reading and validating a matrix: a YAML file, then overrides from the command line.

The file names components; a parser with one typed group a component is then built from their
signatures, so that a misspelt key, a wrong type or an unknown name is an error that says where.
"""

from __future__ import annotations

import re
from argparse import ArgumentError
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser

from benchmark.errors import BenchmarkError
from benchmark.matrix.cell import Cell, TaskConfig
from benchmark.matrix.component import Component, add_options, lookup, one_line, plain
from tasks.task import TaskSettings

LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
AXES = {"defenses": "defense", "priors": "prior", "attacks": "attack"}
KEYS = ("name", "description", "tasks", *AXES, "targets", "seeds")


@dataclass(frozen=True)
class Matrix:
    """Axes, all resolved; their product is the cells."""

    name: str
    tasks: tuple[TaskConfig, ...]
    defenses: tuple[Component, ...]
    priors: tuple[Component, ...]
    attacks: tuple[Component, ...]
    targets: tuple[int, ...]
    seeds: tuple[int, ...]

    def cells(self) -> Iterator[Cell]:
        """Every cell, attacks innermost; an attack without a prior is not multiplied by priors."""
        for task in self.tasks:
            for seed in self.seeds:
                for target in self.targets:
                    for defense in self.defenses:
                        for attack in self.attacks:
                            for prior in self._priors_of(attack):
                                yield Cell(task, defense, prior, attack, target, seed)

    def config(self) -> dict[str, Any]:
        """The resolved configuration as plain JSON values."""
        return {
            "name": self.name,
            "tasks": [task.config() for task in self.tasks],
            **{axis: [c.config() for c in getattr(self, axis)] for axis in AXES},
            "targets": list(self.targets),
            "seeds": list(self.seeds),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Matrix:
        """The inverse of `config`."""
        axes = {
            axis: tuple(Component.from_config(kind, c) for c in config[axis]) for axis, kind in AXES.items()
        }
        return cls(
            name=config["name"],
            tasks=tuple(TaskConfig.from_config(task) for task in config["tasks"]),
            targets=tuple(config["targets"]),
            seeds=tuple(config["seeds"]),
            **axes,
        )

    def _priors_of(self, attack: Component) -> Sequence[Component | None]:
        needs_prior: bool = getattr(lookup("attack", attack.name), "needs_prior", False)
        return self.priors if needs_prior else (None,)


def find_config(name: str) -> Path:
    """A YAML file, by path, or by the name of a bundled configuration (`demo`, `priors/cifar10`).

    Raises:
        BenchmarkError: neither exists.
    """
    path = Path(name)
    if path.is_file():
        return path
    bundled = Path(str(resources.files("configs"))) / f"{name}.yaml"
    if re.fullmatch(r"[\w/-]+", name) and bundled.is_file():
        return bundled
    raise BenchmarkError(
        f"{name}: no such file, nor a bundled configuration; there are: {', '.join(bundled_configs())}"
    )


def bundled_configs() -> list[str]:
    """Names of the bundled matrices."""
    return sorted(Path(str(path)).stem for path in resources.files("configs").iterdir() if _is_yaml(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping.

    Raises:
        BenchmarkError: not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise BenchmarkError(f"{path}: not a readable YAML file ({one_line(error)})") from error
    if not isinstance(content, dict):
        raise BenchmarkError(f"{path}: a mapping is expected at the top")
    return content


def load_matrix(name: str, overrides: Sequence[str] = ()) -> Matrix:
    """Read a matrix, apply `--key value` overrides to it, and resolve it.

    Args:
        name: see `find_config`.
        overrides: command-line arguments such as `--attacks.gifd.iterations=300`.

    Raises:
        BenchmarkError: anything wrong, with the file and the key.
    """
    path = find_config(name)
    content = read_yaml(path)
    try:
        return _resolve(path.stem, content, list(overrides))
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from error


def _resolve(stem: str, content: Mapping[str, Any], overrides: list[str]) -> Matrix:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--name", type=str, default=stem)
    parser.add_argument("--description", type=str, default="")
    parser.add_argument("--targets", type=list[int], default=[0])
    parser.add_argument("--seeds", type=list[int], default=[0])
    for key in content:
        if key not in KEYS:
            raise BenchmarkError(f"unknown key '{key}'; there are: {', '.join(KEYS)}")
    uses = dict(_overridden_names(overrides))
    names: dict[str, str] = {}
    labels: dict[str, list[str]] = {}
    values = dict(content)

    def declare(kind: str, key: str, default: str, spec: Any) -> dict[str, Any]:
        """Add a component's options to the parser and return those that the file sets.

        Where it sets none there is nothing to parse: a component without options has no group.
        """
        options = {"use": spec} if isinstance(spec, str) else dict(_mapping(spec, key))
        names[key] = uses.get(key, str(options.pop("use", default)))
        try:
            add_options(parser, kind, names[key], key)
        except BenchmarkError as error:
            raise BenchmarkError(f"{key}: {error}") from error
        return options

    for axis, kind in AXES.items():
        specs = _labelled(content.get(axis), axis)
        labels[axis] = list(specs)
        options = {label: declare(kind, f"{axis}.{label}", label, spec) for label, spec in specs.items()}
        values[axis] = {label: set_options for label, set_options in options.items() if set_options}
    tasks = _labelled(content.get("tasks"), "tasks")
    values["tasks"] = {}
    for label, spec in tasks.items():
        key = f"tasks.{label}"
        task = dict(_mapping(spec, key))
        parser.add_class_arguments(TaskSettings, key, instantiate=False)
        for part, default in (("dataset", label), ("model", "convnet")):
            options = declare(part, f"{key}.{part}", default, task.pop(part, None))
            task |= {part: options} if options else {}
        values["tasks"][label] = task
    values = {key: value for key, value in values.items() if key not in AXES or value}

    try:
        parsed = parser.parse_object(values)
        remaining = [o for o in overrides if not _NAME_OVERRIDE.match(o)]
        resolved = plain(parser, parser.parse_args(remaining, namespace=parsed))
    except ArgumentError as error:
        raise BenchmarkError(one_line(error)) from error

    def component(kind: str, key: str, label: str) -> Component:
        options: Any = resolved
        for part in key.split("."):
            options = options.get(part) or {}
        return Component(kind, names[key], label, options)

    def axis_components(axis: str) -> tuple[Component, ...]:
        return tuple(component(AXES[axis], f"{axis}.{label}", label) for label in labels[axis])

    def task_config(label: str) -> TaskConfig:
        dataset = component("dataset", f"tasks.{label}.dataset", names[f"tasks.{label}.dataset"])
        model = component("model", f"tasks.{label}.model", names[f"tasks.{label}.model"])
        settings = {k: v for k, v in resolved["tasks"][label].items() if k not in ("dataset", "model")}
        return TaskConfig(label, dataset, model, TaskSettings(**settings))

    matrix = Matrix(
        name=resolved["name"],
        tasks=tuple(task_config(label) for label in tasks),
        defenses=axis_components("defenses"),
        priors=axis_components("priors"),
        attacks=axis_components("attacks"),
        targets=tuple(resolved["targets"]),
        seeds=tuple(resolved["seeds"]),
    )
    _check(matrix)
    return matrix


def _check(matrix: Matrix) -> None:
    if not re.fullmatch(r"[\w-]+", matrix.name):
        raise BenchmarkError(f"name: '{matrix.name}' is not made of letters, digits, - and _")
    for axis in ("tasks", "defenses", "attacks", "targets", "seeds"):
        if not getattr(matrix, axis):
            raise BenchmarkError(f"{axis}: at least one is needed")
    for axis in ("targets", "seeds"):
        numbers = getattr(matrix, axis)
        if min(numbers) < 0 or len(set(numbers)) < len(numbers):
            raise BenchmarkError(f"{axis}: distinct numbers from 0 are expected, not {list(numbers)}")
    for attack in matrix.attacks:
        if not matrix._priors_of(attack):
            raise BenchmarkError(f"attacks.{attack.label} needs a prior; none is given in 'priors'")


_NAME_OVERRIDE = re.compile(r"--([\w.]+)\.use=(.+)")


def _overridden_names(overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
    for override in overrides:
        match = _NAME_OVERRIDE.match(override)
        if match:
            yield match.group(1), match.group(2)


def _labelled(specs: Any, axis: str) -> Mapping[str, Any]:
    labelled = _mapping(specs, axis)
    for label in labelled:
        if not LABEL.fullmatch(str(label)):
            raise BenchmarkError(f"{axis}: label '{label}' is not made of letters, digits and _")
    return labelled


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BenchmarkError(f"{key}: a mapping is expected, not {value!r}")
    return value


def _is_yaml(path: Any) -> bool:
    return str(path).endswith(".yaml")
