"""`gifd-bench leaderboard serve`: the board on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from gifd_bench.leaderboard.board.bundled import build_board
from gifd_bench.leaderboard.board.folder import is_board
from gifd_bench.leaderboard.commands.entries_option import (
    add_alone_option,
    add_entries_option,
    entries_to_show,
)
from gifd_bench.leaderboard.errors import LeaderboardError

# Only this machine can connect.
HOST = "127.0.0.1"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard serve",
        description="Build the board in a temporary folder and show it on this machine until Ctrl-C.",
        allow_abbrev=False,
    )
    command.add_argument("--directory", type=Path, help="show this board, which `build` wrote, instead")
    add_entries_option(command)
    add_alone_option(command)
    command.add_argument("--port", type=_port, default=8000, help="0 takes a free one (default: 8000)")
    return command


def run(arguments: list[str]) -> int:
    """Run the command; it ends with Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        with (
            _board(options.directory, options.entries, options.alone) as folder,
            _server(folder, options.port) as server,
        ):
            sys.stdout.write(f"http://{HOST}:{server.server_port}/ (Ctrl-C ends it)\n")
            sys.stdout.flush()
            server.serve_forever()
    except KeyboardInterrupt:
        pass
    return 0


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, and reports nothing about it."""

    def log_message(self, format: str, *args: object) -> None:
        """Do not print successful requests; errors show in the browser."""


@contextmanager
def _board(directory: Path | None, entries: Path | None, alone: bool) -> Iterator[Path]:
    if directory is not None:
        if not is_board(directory):
            raise LeaderboardError(f"{directory}: no board; `gifd-bench leaderboard build` writes one")
        yield directory
        return
    with TemporaryDirectory(prefix="gifd-bench-board-") as folder:
        build_board(entries_to_show(entries, alone), Path(folder))
        yield Path(folder)


def _server(folder: Path, port: int) -> ThreadingHTTPServer:
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise LeaderboardError(
            f"port {port} cannot be used ({error.strerror}); choose another with --port"
        ) from error


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"a number from 0 to 65535 is expected, not {text!r}")
