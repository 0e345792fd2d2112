"""`gifd-bench check`: check what every attack, prior, defense, ... promises, on one of your own."""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from pathlib import Path

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.labels.rules import LABEL_RULES
from gifd_bench.benchmark.matrix.component import REGISTRIES, Component, below, registries_of
from gifd_bench.benchmark.matrix.resolve import Resolver
from gifd_bench.common.errors import ExitStatus, one_line


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench check",
        description="Run the contract of attacks, priors, datasets, models, defenses, metrics or label "
        "rules on one of your own: each promise is kept or broken, and how.",
        epilog="options follow; set an attack to a few iterations, because it runs about a hundred times: "
        "gifd-bench check my_attack.py:MyAttack --iterations=3 --restarts=2",
        allow_abbrev=False,
    )
    command.add_argument("name", help="a registered name, package.module:Class, or file.py:Class")
    command.add_argument(
        "--as",
        dest="noun",
        choices=list(REGISTRIES),
        help="what it is, if its class does not show that",
    )
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 if a promise is broken."""
    options, rest = parser().parse_known_args(arguments)
    noun = options.noun or _noun_of(options.name)
    # Imported here, because contracts import torch.
    from gifd_bench.benchmark.contract.contracts import contract_of
    from gifd_bench.benchmark.contract.subject import Broken

    component = _component(noun, options.name, rest)
    console, broken = Terminal(), 0
    checks = contract_of(noun)
    for check in checks:
        with tempfile.TemporaryDirectory() as folder, console.status(check.title):
            reason: str | None = None
            try:
                check.run(component, Path(folder))
            except Broken as error:
                reason = str(error)
            except Exception as error:  # Whatever somebody's code raises is a broken promise.
                reason = f"{type(error).__name__}: {one_line(error)}{_where(error, options.name)}"
        broken += reason is not None
        line = f"kept    {check.title}" if reason is None else f"BROKEN  {check.title}: {reason}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if broken:
        console.print(f"{broken} of {len(checks)} promises are broken")
        return ExitStatus.FAILED
    console.print(f"all {len(checks)} promises are kept")
    return ExitStatus.DONE


def _where(error: Exception, name: str) -> str:
    """The last line of the checked file that the error passed through, or nothing if there is none."""
    source = name.rpartition(":")[0]
    module = sys.modules.get(source)
    file = Path(source if module is None else module.__file__ or "").resolve()
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == file
    ]
    return f" ({file.name}, line {lines[-1]})" if lines else ""


def _noun_of(name: str) -> str:
    nouns = [registry.noun for registry in registries_of(name)]
    if not nouns:
        from gifd_bench.benchmark.contract.nouns import noun_of

        return noun_of(name)
    if len(nouns) > 1:
        raise BenchmarkError(f"'{name}' is the name of {' and '.join(nouns)}: say which with --as")
    return nouns[0]


def _component(noun: str, name: str, arguments: list[str]) -> Component:
    """The component of that name, with the given options."""
    odd = [argument for argument in arguments if not argument.startswith("--")]
    if odd:
        raise BenchmarkError(f"'{odd[0]}' is not an option; options are written --name=value")
    if noun == LABEL_RULES.noun:
        if arguments:
            raise BenchmarkError(f"a label rule has no options: {arguments[0]}")
        return Component(noun, name, name, {})
    resolver = Resolver(below(noun, arguments))
    resolver.declare(noun, noun, name, None)
    resolver.parse()
    return resolver.component(noun, noun, name)
