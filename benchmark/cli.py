"""The `gifd-bench` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version

from gifd_bench.common.errors import ExitStatus, UserError

# Name of the command, its module below benchmark.commands, and its line in the help.
COMMANDS = {
    "run": ("run", "run a matrix, or what is missing of it"),
    "plan": ("plan", "count the cells of a matrix, what they cost and what they lack"),
    "status": ("status", "show how far a run is, whoever runs it"),
    "show": ("show", "print the results of a run as table, JSON, CSV or Markdown"),
    "report": ("report", "write the HTML page of a run"),
    "observe": ("observe", "write what the server sees of one round of your model and images"),
    "attack": ("attack", "reconstruct from one observation file alone"),
    "check": ("check", "check an attack of your own against what every attack promises"),
    "utility": ("utility", "train victims under each defense: what a defense costs in accuracy"),
    "train-victim": ("train_victim", "train a victim model"),
    "sync": ("sync", "upload W&B runs that were kept as files"),
    "wandb-report": ("wandb_report", "build the W&B Report of a run, or its spec without a login"),
    "list": ("list", "list attacks, priors, datasets, models, defenses and configurations"),
    "priors": ("priors", "list priors with their stages, sizes and weights"),
    "sample": ("sample", "write a grid of a prior's samples"),
    "train-prior": ("train_prior", "train a generative prior on your own images"),
}
# Packages that build on this one add commands of their own under this group of entry points.
GROUP = "gifd_bench.commands"


def main() -> None:
    """Entry point; exits with 0, 1 (a cell failed), 2 (the input is at fault) or 130 (interrupted)."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line; an error of the user's input is one line on standard error."""
    added: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=GROUP)}
    lines = {name: line for name, (_, line) in COMMANDS.items()}
    lines |= {name: f"see `gifd-bench {name} --help`" for name in added}
    width = max(map(len, lines))
    parser = argparse.ArgumentParser(
        prog="gifd-bench",
        description="How much of a client's private images does a gradient give away?",
        epilog="commands:\n" + "\n".join(f"  {name:{width}}  {line}" for name, line in lines.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("gifd-bench"))
    parser.add_argument("command", choices=lines, metavar="command", help="one of those below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see `gifd-bench COMMAND --help`")
    options = parser.parse_args(arguments)
    # torch takes seconds to import: `--help` and `--version` should not.
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    try:
        return int(_command(options.command, added)(options.arguments))
    except UserError as error:
        sys.stderr.write(f"gifd-bench: {error}\n")
        return ExitStatus.USER_ERROR
    except BrokenPipeError:
        # Whoever read our output has stopped: nothing is left to say.
        sys.stderr.close()
        return 0


def _command(name: str, added: Mapping[str, EntryPoint]) -> Callable[[list[str]], int]:
    """What runs a command; it is imported only now."""
    if name in added:
        command: Callable[[list[str]], int] = added[name].load()
        return command
    own: Callable[[list[str]], int] = import_module(
        f"gifd_bench.benchmark.commands.{COMMANDS[name][0]}"
    ).run
    return own
