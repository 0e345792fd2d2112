"""`gifd-bench list`: everything that has a name, and its options."""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any, Literal, get_args, get_origin

from rich.table import Table

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.matrix.component import NOUNS, REGISTRIES, meanings_of, registries_of, type_of
from gifd_bench.benchmark.matrix.config_files import bundled_configs, find_config, read_yaml
from gifd_bench.common.registry import Registry
from gifd_bench.common.tables import Column, FittedTable
from gifd_bench.tasks.models.registry import INPUTS, MODELS

CONFIG = "config"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench list",
        description="List attacks, priors, datasets, models, defenses, metrics, label rules and "
        "configurations; or show the options of one of them, with their types, defaults and meaning.",
        allow_abbrev=False,
    )
    command.add_argument(
        "name",
        nargs="?",
        help="one of them (gifd, gaussian_noise, my_attack.py:MyAttack), or a noun (attack, prior, ...)",
    )
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    name = parser().parse_args(arguments).name
    if name is None:
        _show([*REGISTRIES, CONFIG])
    elif (noun := name.removesuffix("s").replace("_", " ")) in (*REGISTRIES, CONFIG):
        _show([noun])
    else:
        _show_options(name)
    return 0


def _show(nouns: list[str]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for noun in nouns:
        if noun == CONFIG:
            for name in bundled_configs():
                table.add_row(CONFIG, name, str(read_yaml(find_config(name)).get("description", "")))
            continue
        registry = REGISTRIES[noun]
        for name in sorted(registry.bundled):
            table.add_row(noun, name, registry.describe(name))
        for name, path in sorted(registry.installed().items()):
            table.add_row(noun, name, f"from an installed package: {path}")
    Terminal().print(table)


def _show_options(name: str) -> None:
    """Show the options of everything with this name."""
    console = Terminal()
    for registry in registries_of(name) or [_from_outside(name)]:
        console.print(f"{registry.noun} {name}: {registry.describe(name)}", markup=False, soft_wrap=True)
        if registry.noun in NOUNS:
            console.print(_options(registry, name))


def _options(registry: Registry[Any], name: str) -> FittedTable | str:
    """The options of one of them: name, type, default and meaning."""
    signature = registry.signature(name)
    meanings = meanings_of(signature)
    table = FittedTable([Column(heading) for heading in ("option", "type", "default", "meaning")])
    for option, parameter in inspect.signature(signature).parameters.items():
        if registry.noun == MODELS.noun and option in INPUTS:
            continue
        table.add_row(
            option, _type_text(signature, parameter), _default_text(parameter), meanings.get(option, "")
        )
    return table if len(table) else "it has no options"


def _type_text(signature: Callable[..., Any], parameter: inspect.Parameter) -> str:
    annotation, meant = parameter.annotation, type_of(signature, parameter)
    if get_origin(meant) is Literal:
        return " | ".join(map(str, get_args(meant)))
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _default_text(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is inspect.Parameter.empty:
        return "none (required)"
    # As it is written in a matrix.
    return json.dumps(asdict(default) if is_dataclass(default) else default, default=str)  # type: ignore[arg-type]


def _from_outside(path: str) -> Registry[Any]:
    """The registry of the noun to which a class or function from outside belongs."""
    # Imported here, because base classes import torch.
    from gifd_bench.benchmark.contract.nouns import noun_of

    return REGISTRIES[noun_of(path)]
