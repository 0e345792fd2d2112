"""`gifd-bench leaderboard key`: make a key to sign submissions with."""

from __future__ import annotations

import argparse
from pathlib import Path

from gifd_bench.common.terminal import write
from gifd_bench.leaderboard.submission.signature import make_key


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard key",
        description="Make a private key (ed25519) in a file that you alone can read, and print the public "
        "key. The name of an attack belongs to the key that its first version on a board is signed with.",
        allow_abbrev=False,
    )
    command.add_argument("output", type=Path, help="file that is not there yet, outside of any checkout")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    public = make_key(options.output)
    write(f"public key {public}\nprivate key {options.output}: keep it, and keep it to yourself")
    return 0
