"""The parts that a matrix is made of, and building one from its configuration."""

from __future__ import annotations

import inspect
import json
from argparse import ArgumentError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.plugins import installed_attacks, is_path, load_attack
from gifd_bench.common.errors import one_line
from gifd_bench.common.hashing import canonical
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.datasets.registry import DATASETS
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.models.registry import MODELS

Factory = Callable[..., Any]

CATALOGUE: dict[str, Mapping[str, Factory]] = {
    "dataset": DATASETS,
    "model": MODELS,
    "defense": DEFENSES,
    "prior": PRIORS,
    "attack": ATTACKS,
}

# A task gives these to a model; they are not options.
MODEL_INPUTS = {"num_classes", "image_size"}


@dataclass(frozen=True)
class Component:
    """One dataset, model, defense, prior or attack with all of its options resolved.

    Attributes:
        kind: a key of `CATALOGUE`.
        name: its registered name.
        label: what this configuration of it is called in tables.
        options: every option, as JSON values.
    """

    kind: str
    name: str
    label: str
    options: Mapping[str, Any]

    def config(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"use": self.name, "label": self.label, "options": dict(self.options)}

    @classmethod
    def from_config(cls, kind: str, config: Mapping[str, Any]) -> Component:
        """The inverse of `config`."""
        return cls(kind, config["use"], config["label"], config["options"])

    @cached_property
    def canonical(self) -> str:
        """The same as text; equal for equal components."""
        return canonical(self.config())

    def factory(self) -> Factory:
        """What is registered under the name."""
        return lookup(self.kind, self.name)

    def arguments(self) -> dict[str, Any]:
        """The options as the values that `factory` takes.

        Raises:
            BenchmarkError: it does not take them.
        """
        parser, parsed = self._parse(self.options)
        found = vars(parser.instantiate(parsed)).get("it")
        return vars(found) if found else {}

    def build(self) -> Any:
        """A new instance."""
        return self.factory()(**self.arguments())

    def with_options(self, changes: Mapping[str, Any]) -> Component:
        """The same with some options changed, these resolved and checked.

        Raises:
            BenchmarkError: an unknown option or a wrong value.
        """
        parser, parsed = self._parse({**self.options, **changes})
        return replace(self, options=plain(parser, parsed).get("it") or {})

    def _parse(self, options: Mapping[str, Any]) -> tuple[ArgumentParser, Namespace]:
        parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
        add_options(parser, self.kind, self.name, "it")
        try:
            return parser, parser.parse_object({"it": options} if options else {})
        except ArgumentError as error:
            raise BenchmarkError(one_line(error)) from error


def lookup(kind: str, name: str) -> Factory:
    """The class or function registered under a name; for an attack also one by import path or file.

    Raises:
        BenchmarkError: there is none; the message lists what there is.
    """
    if name in CATALOGUE[kind]:
        return CATALOGUE[kind][name]
    if kind == "attack":
        path = installed_attacks().get(name, name)
        if is_path(path):
            return load_attack(path)
    known = ", ".join(sorted(CATALOGUE[kind]))
    raise BenchmarkError(f"no {kind} '{name}'; there are: {known}")


def add_options(parser: ArgumentParser, kind: str, name: str, key: str) -> None:
    """Add the options of a component to a parser below `key`, typed by its signature."""
    factory = lookup(kind, name)
    skip: Any = MODEL_INPUTS if kind == "model" else set()
    if inspect.isclass(factory):
        parser.add_class_arguments(factory, key, skip=skip, instantiate=False)
    else:
        parser.add_function_arguments(factory, key, skip=skip)


def below(key: str, arguments: Sequence[str]) -> list[str]:
    """Command-line arguments with every `--option` put below `key`, as `add_options` put it there."""
    return [f"--{key}.{a[2:]}" if a.startswith("--") else a for a in arguments]


def plain(parser: ArgumentParser, parsed: Namespace) -> dict[str, Any]:
    """A parsed configuration as JSON values."""
    values: dict[str, Any] = json.loads(parser.dump(parsed, format="json", skip_unset=False))
    return values


def describe(kind: str, name: str) -> str:
    """The first sentence of a component's docstring."""
    text = inspect.getdoc(lookup(kind, name)) or ""
    return " ".join(text.split("\n\n")[0].split())
