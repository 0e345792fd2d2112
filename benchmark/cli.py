"""The `gifd-bench` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version

from gifd_bench.common.errors import ExitStatus, UserError
from gifd_bench.common.terminal import say

# Name of the command, and its line in the help. Its module in benchmark.commands has the same name.
COMMANDS = {
    "run": "run a matrix, or its missing cells",
    "plan": "count the cells of a matrix, their cost, and what is missing",
    "status": "show how far a run is, whoever runs it",
    "show": "print the results of a run as table, JSON, CSV or Markdown",
    "report": "write the HTML page of a run",
    "figure": "draw a figure of a run for a paper: PDF, SVG or PNG",
    "observe": "write what the server sees of one round of your model and images",
    "audit": "attack one update with everything available; a page says what could be read from it",
    "attack": "reconstruct from one observation file alone",
    "check": "check an attack, defense, prior, ... of your own against what every one promises",
    "tune": "find the best options of attacks under a budget, on images that no table uses",
    "tradeoff": "measure what each strength of a defense hides, and what it costs in accuracy",
    "utility": "measure what each defense costs in accuracy, by training victims under it",
    "train-victim": "train a victim model",
    "sync": "upload W&B runs that were kept as files",
    "wandb-report": "build the W&B Report of a run, or its spec without a login",
    "speed": "measure what a gradient evaluation of attacks takes on this machine",
    "fetch": "download the networks that LPIPS compares images by",
    "list": "list attacks, priors, defenses, ...; `list gifd` shows the options of one",
    "priors": "list priors with their stages, sizes and weights",
    "sample": "write a grid of a prior's samples",
    "train-prior": "train a generative prior on your own images",
    "completion": "print the completion of this command for your shell",
}
# Packages that build on this one add commands of their own under this group of entry points.
GROUP = "gifd_bench.commands"


def main() -> None:
    """The entry point; exits with 0, 1 (a cell failed), 2 (the input is wrong) or 130 (interrupted)."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line; an error of the user's input is one line on standard error."""
    added = added_commands()
    lines = COMMANDS | {name: f"see `gifd-bench {name} --help`" for name in added}
    width = max(map(len, lines))
    parser = argparse.ArgumentParser(
        prog="gifd-bench",
        description="How much of a client's private images does a gradient give away?",
        epilog="commands:\n" + "\n".join(f"  {name:{width}}  {line}" for name, line in lines.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("gifd-bench"))
    parser.add_argument("command", metavar="command", help="one of those below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see `gifd-bench COMMAND --help`")
    options = parser.parse_args(arguments)
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    try:
        return int(_command(options.command, added)(options.arguments))
    except UserError as error:
        say(f"gifd-bench: {error}")
        return ExitStatus.USER_ERROR
    except BrokenPipeError:
        # Whoever read our output has stopped: nothing is left to say.
        sys.stderr.close()
        return ExitStatus.DONE
    except OSError as error:
        if error.filename is None:
            raise
        # A path that cannot even be looked at: too long, or below a folder that is not this user's.
        say(f"gifd-bench: {error.filename}: {error.strerror}")
        return ExitStatus.USER_ERROR


def added_commands() -> dict[str, EntryPoint]:
    """Commands of installed packages, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def module_of(command: str) -> str:
    """The module of one of `COMMANDS`, which has `parser()` and `run(arguments)`."""
    return f"gifd_bench.benchmark.commands.{command.replace('-', '_')}"


def _command(name: str, added: Mapping[str, EntryPoint]) -> Callable[[list[str]], int]:
    """The function that runs a command.

    It is imported only now, because most commands import torch, which takes seconds.

    Raises:
        UserError: there is no such command.
    """
    found: Callable[[list[str]], int]
    if name in added:
        found = added[name].load()
        return found
    if name in COMMANDS:
        found = import_module(module_of(name)).run
        return found
    from gifd_bench.benchmark.matrix.component import NOUNS
    from gifd_bench.common.registry import unknown

    components = {known for noun in NOUNS.values() for known in noun}
    if name in components:
        # `gifd-bench gifd --help` is what somebody types who wants to know its options.
        lister = import_module(module_of("list")).run
        return lambda _: int(lister([name]))
    commands = sorted({*COMMANDS, *added})
    near = get_close_matches(name, [*commands, *components], n=1)
    raise UserError(unknown("command", name, commands if not near or near[0] in commands else near))
