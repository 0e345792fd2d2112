"""`gifd-bench completion`: what a shell needs to complete this command line."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

import shtab

from gifd_bench.benchmark.cli import COMMANDS, added_commands, module_of
from gifd_bench.benchmark.matrix.component import NOUNS

# Options that take a registered name, with the noun.
NAMES = {"--attack": "attack", "--prior": "prior"}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench completion",
        description="Print a script that completes commands, options and names in your shell; for example "
        "`gifd-bench completion bash > ~/.local/share/bash-completion/completions/gifd-bench`.",
        allow_abbrev=False,
    )
    command.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    sys.stdout.write(shtab.complete(whole_parser(), options.shell) + "\n")
    return 0


def whole_parser() -> argparse.ArgumentParser:
    """Every command with all its options, as one parser."""
    whole = argparse.ArgumentParser(prog="gifd-bench")
    commands = whole.add_subparsers(dest="command")
    for name, line in COMMANDS.items():
        _add(commands, name, line, import_module(module_of(name)).parser())
    for name, point in added_commands().items():
        make = getattr(import_module(point.module), "parser", None)
        if make is not None:
            _add(commands, name, name, make())
    return whole


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    line: str,
    command: argparse.ArgumentParser,
) -> None:
    for action in command._actions:
        if isinstance(action.choices, dict):
            # shtab takes a mapping for subcommands.
            action.choices = list(action.choices)
        if action.type is Path or action.dest == "config":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        for option in action.option_strings:
            if option in NAMES:
                action.choices = NOUNS[NAMES[option]].names()
    commands.add_parser(name, parents=[command], add_help=False, help=line.replace("`", ""))
