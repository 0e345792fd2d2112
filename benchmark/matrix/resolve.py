"""From the content of a file to components, with every option resolved and checked.

The file names components. A parser with one typed group for each component is built from their signatures,
so a misspelled key, a wrong type or an unknown name is an error that says where.
"""

from __future__ import annotations

import json
import re
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from typing import Any

from jsonargparse import ArgumentParser

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component, add_options, plain, said_better
from gifd_bench.benchmark.matrix.config_files import find_config, read_yaml
from gifd_bench.benchmark.matrix.defense import DefenseConfig
from gifd_bench.benchmark.matrix.task import TaskConfig, settings_from
from gifd_bench.common.errors import UserError, one_line
from gifd_bench.tasks.settings import TaskSettings

LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
FILE = "what-the-file-sets"
# The largest number of any option; most options have limits of their own.
MOST = 1e12
_NAME_OVERRIDE = re.compile(r"--([\w.]+)\.use=(.+)")


class Resolver:
    """Declares the components of a file to one parser, parses, and returns them.

    Call every `declare_...` first, then `parse`, then the other methods. Keys are paths such as
    `attacks.gifd`.

    Args:
        overrides: command-line arguments such as `--attacks.gifd.iterations=300`; `--attacks.gifd.use=ig`
            names another component.
    """

    def __init__(self, overrides: Sequence[str]) -> None:
        self.parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
        self.parser.add_argument(f"--{FILE}", action="config")
        matches = [_NAME_OVERRIDE.fullmatch(override) for override in overrides]
        self._renamed = {m.group(1): m.group(2) for m in matches if m}
        self._options = [o for o, match in zip(overrides, matches, strict=True) if not match]
        self._names: dict[str, str] = {}
        self._parts: dict[str, list[str]] = {}
        self._given: dict[str, Any] = {}
        self._resolved: dict[str, Any] = {}

    def set(self, key: str, value: Any) -> None:
        """Set a declared key to the value in the file.

        A list that the command line gives too is left out, because the parser would merge the records of
        both, one by one.
        """
        if isinstance(value, list) and any(one.partition("=")[0] == f"--{key}" for one in self._options):
            return
        *path, last = key.split(".")
        place = self._given
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value

    def declare(self, kind: str, key: str, default: str, spec: Any) -> None:
        """Declare a component.

        Args:
            kind: as in `Component`.
            key: where its options are.
            default: its registered name if the file gives none.
            spec: the content of the file: a name, or a mapping of `use` and options, or nothing. With
                `recipe`, the mapping continues that of another file, such as `attacks/gi`.
        """
        options = {"use": spec} if isinstance(spec, str) else dict(mapping(spec, key))
        if "recipe" in options:
            options = read_yaml(find_config(str(options.pop("recipe")))) | options
        said = str(options.pop("use", default))
        self._names[key] = self._renamed.get(key, said)
        if self._names[key] != said:
            # The file's options are those of what it names.
            options = {}
        try:
            add_options(self.parser, kind, self._names[key], key)
        except UserError as error:
            raise BenchmarkError(f"{key}: {error}") from error
        if options:  # A component without options has no group that could be set.
            self.set(key, options)

    def declare_defense(self, key: str, default: str, spec: Any) -> None:
        """Declare a defense or, with a list, several that are applied one after another."""
        if not isinstance(spec, list):
            self._parts[key] = [key]
            self.declare("defense", key, default, spec)
            return
        self._parts[key] = [f"{key}.part{number}" for number in range(1, len(spec) + 1)]
        for part, one in zip(self._parts[key], spec, strict=True):
            self.declare("defense", part, default, one)

    def declare_task(self, key: str, default: str, spec: Any) -> None:
        """Declare a task, whose dataset is by default the one with the task's name."""
        settings = dict(mapping(spec, key))
        self.parser.add_class_arguments(TaskSettings, key, instantiate=False)
        for part, name in (("dataset", default), ("model", "convnet")):
            self.declare(part, f"{key}.{part}", name, settings.pop(part, None))
        for name, value in settings.items():
            self.set(f"{key}.{name}", value)

    def parse(self) -> None:
        """Parse what the file set, then the overrides.

        Raises:
            BenchmarkError: an unknown key or a wrong value.
        """
        try:
            # File and command line are parsed together, because what the file leaves out may be given on
            # the command line.
            parsed = self.parser.parse_args([f"--{FILE}", json.dumps(self._given), *self._options])
            self._resolved = plain(self.parser, parsed)
        except ArgumentError as error:
            raise BenchmarkError(said_better(error, self.parser)) from error
        except (RecursionError, OverflowError) as error:
            raise BenchmarkError(f"a value is too deep, or too large ({one_line(error)})") from error
        _check_numbers(self._resolved, "")

    def value(self, key: str) -> Any:
        """The resolved value of a key; `None` if there is none."""
        value: Any = self._resolved
        for part in key.split("."):
            value = (value or {}).get(part)
        return value

    def component(self, kind: str, key: str, label: str) -> Component:
        """A declared component, resolved."""
        return Component.of(kind, self._names[key], label, self.value(key) or {})

    def defense(self, key: str, label: str) -> DefenseConfig:
        """A declared defense, resolved."""
        return DefenseConfig(label, tuple(self.component("defense", k, label) for k in self._parts[key]))

    def task(self, key: str, label: str) -> TaskConfig:
        """A declared task, resolved."""
        parts = {
            part: self.component(part, f"{key}.{part}", self._names[f"{key}.{part}"])
            for part in ("dataset", "model")
        }
        settings = {name: value for name, value in self.value(key).items() if name not in parts}
        try:
            return TaskConfig(label, **parts, settings=settings_from(settings))
        except (ArgumentError, ValueError) as error:
            raise BenchmarkError(f"{key}: {one_line(error)}") from error


def labeled(specs: Any, axis: str) -> Mapping[str, Any]:
    """A mapping from labels to what they stand for.

    Raises:
        BenchmarkError: it is not a mapping, or a label cannot be part of a key.
    """
    by_label = mapping(specs, axis)
    for label in by_label:
        if not LABEL.fullmatch(str(label)):
            raise BenchmarkError(f"{axis}: label '{label}' is not made of letters, digits and _")
    return by_label


def mapping(value: Any, key: str) -> Mapping[str, Any]:
    """A mapping; empty for nothing.

    Raises:
        BenchmarkError: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BenchmarkError(f"{key}: a mapping is expected, not {value!r}")
    return value


def _check_numbers(value: Any, key: str) -> None:
    """Check that no number is far too large, before anything is built with it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_numbers(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for inner in value:
            _check_numbers(inner, key)
    elif isinstance(value, int | float) and not abs(value) <= MOST:
        raise BenchmarkError(f"{key}: a number from {-MOST:g} to {MOST:g} is expected, not {value:g}")
