"""`gifd-bench check`: what every attack promises, checked on one of your own."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pytorch_lightning as pl
from rich.console import Console

from gifd_bench.benchmark.contract.checks import CHECKS
from gifd_bench.benchmark.contract.subject import Broken, Subject
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component, below
from gifd_bench.benchmark.matrix.resolve import Resolver
from gifd_bench.common.errors import ExitStatus, one_line
from gifd_bench.priors.registry import PRIORS


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 where a promise is broken."""
    parser = argparse.ArgumentParser(
        prog="gifd-bench check",
        description="Run the contract of attacks on one: each promise is kept or broken, and how.",
        epilog="options of the attack follow; set it to a few iterations, for it runs some hundred times: "
        "gifd-bench check my_attack.py:MyAttack --iterations=3 --restarts=2",
        allow_abbrev=False,
    )
    parser.add_argument("attack", help="a registered name, package.module.Class, or file.py:Class")
    options, rest = parser.parse_known_args(arguments)
    component = _component(options.attack, rest)
    component.build()
    pl.seed_everything(0, verbose=False)
    prior = PRIORS.make("untrained", {})
    console, broken = Console(), 0
    for check in CHECKS:
        title = check.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory() as folder, console.status(title):
            reason: str | None = None
            try:
                check(Subject(component.build, prior, Path(folder)))
            except Broken as error:
                reason = str(error)
            except Exception as error:  # Whatever an attack raises is a broken promise.
                reason = f"{type(error).__name__}: {one_line(error)}"
        broken += reason is not None
        line = f"kept    {title}" if reason is None else f"BROKEN  {title}: {reason}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if broken:
        console.print(f"{broken} of {len(CHECKS)} promises are broken")
        return ExitStatus.FAILED
    console.print(f"all {len(CHECKS)} promises are kept")
    return 0


def _component(name: str, arguments: list[str]) -> Component:
    unknown = [a for a in arguments if not a.startswith("--")]
    if unknown:
        raise BenchmarkError(f"'{unknown[0]}' is not an option; options are written --name=value")
    resolver = Resolver(below("attack", arguments))
    resolver.declare("attack", "attack", name, None)
    resolver.parse()
    return resolver.component("attack", "attack", name)
