"""The parts of a matrix, and building a part from its configuration."""

from __future__ import annotations

import copy
import inspect
import json
import re
import sys
from argparse import ArgumentError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser, Namespace

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.labels.rules import LABEL_RULES
from gifd_bench.benchmark.scoring.registry import METRICS
from gifd_bench.common.errors import one_line
from gifd_bench.common.hashing import canonical
from gifd_bench.common.registry import Code, Registry, is_path, unknown
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.datasets.registry import DATASETS
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.models.registry import INPUTS, MODELS

# At most this much of a parser's error is shown, because it repeats what it was given.
MOST_SAID = 600
NOUNS: dict[str, Registry[Any]] = {
    noun.noun: noun for noun in (DATASETS, MODELS, DEFENSES, PRIORS, ATTACKS, METRICS)
}
# With what is chosen by name as well, but has no options.
REGISTRIES: dict[str, Registry[Any]] = {**NOUNS, LABEL_RULES.noun: LABEL_RULES}

# Options that came after cells had their ids, and the values at which they are no part of one.
_UNSAID: dict[str, dict[str, Any]] = {ATTACKS.noun: {"keep": "all"}}


def registries_of(name: str) -> list[Registry[Any]]:
    """The registries that contain a name; for a path, there may be none.

    Raises:
        BenchmarkError: it is not a path, and no registry has it; the message suggests the nearest name.
    """
    found = [registry for registry in REGISTRIES.values() if name in registry]
    if not found and not is_path(name):
        known = sorted({known for registry in REGISTRIES.values() for known in registry})
        raise BenchmarkError(unknown("entry", name, known))
    return found


@dataclass(frozen=True)
class Component:
    """One dataset, model, defense, prior, attack or metric, with all of its options resolved.

    Attributes:
        kind: a key of `NOUNS`.
        name: the registered name, import path or file.
        label: the name of this configuration in tables.
        options: every option, as JSON values.
        code: the code behind the name, if it comes from outside the package.
    """

    kind: str
    name: str
    label: str
    options: Mapping[str, Any]
    code: Code | None = None

    @classmethod
    def of(cls, kind: str, name: str, label: str, options: Mapping[str, Any]) -> Component:
        """The component behind a name that somebody gave.

        Raises:
            UserError: there is none of that name.
        """
        noun = NOUNS[kind]
        module, colon, attribute = name.rpartition(":")
        if colon and module.endswith(".py"):
            # Workers, and whoever goes on with a run, may be in another folder.
            name = f"{Path(module).resolve()}:{attribute}"
        return cls(kind, noun.canonical(name), label, options, noun.code(name))

    def config(self) -> dict[str, Any]:
        """The component as plain JSON values."""
        code = {} if self.code is None else {"code": asdict(self.code)}
        return {"use": self.name, "label": self.label, "options": dict(self.options), **code}

    @classmethod
    def from_config(cls, kind: str, config: Mapping[str, Any]) -> Component:
        """The inverse of `config`."""
        code = Code(**config["code"]) if "code" in config else None
        return cls(kind, config["use"], config["label"], config["options"], code)

    def identity(self) -> dict[str, Any]:
        """What the component does, as plain JSON values.

        It is equal for components that do the same, whatever they are called and wherever their code is.
        """
        use = self.name if self.code is None else asdict(self.code)
        unsaid = _UNSAID.get(self.kind, {}).items()
        options = {name: value for name, value in self.options.items() if (name, value) not in unsaid}
        return {"use": use, "options": options}

    @cached_property
    def canonical(self) -> str:
        """The identity as text."""
        return canonical(self.identity())

    def arguments(self) -> dict[str, Any]:
        """The options as the values that the noun's registry takes.

        Raises:
            BenchmarkError: it does not take them.
        """
        # Whoever is built of them may change them.
        return copy.deepcopy(self._arguments)

    def build(self) -> Any:
        """Make a new instance.

        Raises:
            UserError: it cannot be made, or its code is no longer the one that was resolved.
        """
        if self.code is not None and NOUNS[self.kind].code(self.name) != self.code:
            raise BenchmarkError(
                f"{self.name}: its code has changed since this run was begun; choose another --output"
            )
        return NOUNS[self.kind].make(self.name, self.arguments())

    def with_options(self, changes: Mapping[str, Any]) -> Component:
        """The same component with some options changed, which are resolved and checked.

        Raises:
            BenchmarkError: an unknown option or a wrong value.
        """
        parser, parsed = self._parse({**self.options, **changes})
        return replace(self, options=plain(parser, parsed).get("it") or {})

    @cached_property
    def _arguments(self) -> dict[str, Any]:
        """The arguments, cached: cells share components, and making the values takes long."""
        parser, parsed = self._parsed
        found = vars(parser.instantiate(parsed)).get("it")
        return vars(found) if found else {}

    @cached_property
    def _parsed(self) -> tuple[ArgumentParser, Namespace]:
        """The cached options: cells share their components, and parsing takes longer than building."""
        return self._parse(self.options)

    def _parse(self, options: Mapping[str, Any]) -> tuple[ArgumentParser, Namespace]:
        parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
        add_options(parser, self.kind, self.name, "it")
        try:
            return parser, parser.parse_object({"it": options} if options else {})
        except ArgumentError as error:
            raise BenchmarkError(said_better(error, parser)) from error


def add_options(parser: ArgumentParser, kind: str, name: str, key: str) -> None:
    """Add the options of a component to a parser below `key`, typed by its signature.

    Raises:
        UserError: there is no component of that name.
    """
    signature = NOUNS[kind].signature(name)
    takes = inspect.signature(signature).parameters
    skip: Any = {given for given in INPUTS if given in takes} if kind == MODELS.noun else set()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values()):
        # The parser finds out from the source where they go.
        if inspect.isclass(signature):
            parser.add_class_arguments(signature, key, skip=skip, instantiate=False)
        else:
            parser.add_function_arguments(signature, key, skip=skip)
        return
    parser.add_function_arguments(with_types(signature), key, skip=skip)


def with_types(signature: Callable[..., Any]) -> Callable[..., Any]:
    """A function with the same parameters, whose annotations are types and not texts.

    The parser would convert texts to types by itself. For this it would execute everything that a module
    imports only for type checkers, which may be torch, which takes seconds.

    Args:
        signature: a class or a function.
    """
    parameters = [
        parameter.replace(annotation=type_of(signature, parameter))
        for parameter in inspect.signature(signature).parameters.values()
    ]

    def options() -> None:
        """Do nothing; this function is never called."""

    meanings = [f"    {name}: {text}\n" for name, text in meanings_of(signature).items() if text]
    options.__doc__ = "Options.\n\nArgs:\n" + "".join(meanings)
    options.__name__ = options.__qualname__ = signature.__name__
    options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return options


def type_of(signature: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The type of a parameter of a class or function, even if its annotation is a text.

    Raises:
        BenchmarkError: the text names something that is unknown there.
    """
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    # A field of a dataclass is annotated where it is declared, which may be another module.
    owners = [
        owner
        for owner in getattr(signature, "__mro__", ())
        if is_dataclass(signature) and parameter.name in vars(owner).get("__annotations__", {})
    ]
    if owners:
        names = vars(sys.modules[owners[0].__module__])
    else:
        function = signature.__init__ if inspect.isclass(signature) else signature
        names = inspect.unwrap(function).__globals__
    try:
        return eval(parameter.annotation, dict(names))
    except NameError as error:
        raise BenchmarkError(
            f"{signature.__name__}: the type of option '{parameter.name}' is not known ({error})"
        ) from error


def meanings_of(signature: Callable[..., Any]) -> dict[str, str]:
    """The meaning of each option, on one line.

    It comes from the docstring of a function, or from those of a class and its bases.
    """
    found: dict[str, str] = {}
    for documented in getattr(signature, "__mro__", (signature,)):
        for text in (documented.__doc__, getattr(vars(documented).get("__init__"), "__doc__", None)):
            for parameter in parse_docstring(text or "").params:
                found.setdefault(parameter.arg_name, " ".join((parameter.description or "").split()))
    return found


def said_better(error: Exception, parser: ArgumentParser) -> str:
    """A parser's error on one line; for an unknown key, with the most similar keys."""
    text = one_line(error)
    if len(text) > MOST_SAID:
        text = f"{text[:MOST_SAID]}..."
    keys = [action.dest for action in parser._actions if action.dest != "help"]
    for pattern in (r"[Kk]ey '([\w.-]+)' is not expected", r"[Uu]nrecognized arguments: --([\w.+-]+)"):
        found = re.search(pattern, text)
        near = get_close_matches(found.group(1), keys, n=3, cutoff=0.6) if found else []
        if near:
            return f"{text.rstrip('.')}; did you mean {' or '.join(near)}?"
    return text


def below(key: str, arguments: Sequence[str]) -> list[str]:
    """Command-line arguments with every `--option` moved below `key`, where `add_options` put it."""
    return [f"--{key}.{a[2:]}" if a.startswith("--") else a for a in arguments]


def plain(parser: ArgumentParser, parsed: Namespace) -> dict[str, Any]:
    """A parsed configuration as JSON values."""
    values: dict[str, Any] = json.loads(parser.dump(parsed, format="json", skip_unset=False))
    return values
