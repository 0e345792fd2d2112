"""`gifd-bench leaderboard`: its commands, one file for each."""

from __future__ import annotations

import argparse
from importlib import import_module

COMMANDS = {
    "protocols": "list the protocols",
    "export": "write the observations of a protocol: all that a challenger needs",
    "attack": "attack every observation of a set",
    "key": "make a key to sign submissions with",
    "submit": "make a submission from a run",
    "sign": "sign a submission",
    "verify": "check a submission and score it",
    "accept": "add a verified submission to the entries",
    "preview": "verify proposed submissions and build the board with them",
    "renew": "make the project's own entries again (for maintainers)",
    "rescore": "score every entry again, from its images",
    "build": "write the board's pages",
    "serve": "build the board and show it on this machine",
}


def parser() -> argparse.ArgumentParser:
    """The command line; each command has one of its own."""
    width = max(map(len, COMMANDS))
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard",
        description="Submissions are reconstructions, not numbers: see docs/submitting.md.",
        epilog="commands:\n" + "\n".join(f"  {name:{width}}  {line}" for name, line in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("command", choices=list(COMMANDS), metavar="command", help="one of those below")
    command.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="see `gifd-bench leaderboard COMMAND --help`"
    )
    return command


def run(arguments: list[str]) -> int:
    """Run a command of the leaderboard."""
    options = parser().parse_args(arguments)
    module = import_module(f"gifd_bench.leaderboard.commands.{options.command}")
    return int(module.run(options.arguments))
