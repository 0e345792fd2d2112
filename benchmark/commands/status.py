"""`gifd-bench status`: how far a run is, whoever runs it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from gifd_bench.benchmark.commands.damage import tell_lines
from gifd_bench.benchmark.commands.run_display import StatusDisplay
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.launch.status import StatusReader
from gifd_bench.benchmark.results.run_folder import RunFolder

SECONDS = 2.0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench status",
        description="Show how many cells of a run are queued, done and failed, and those that are running.",
        allow_abbrev=False,
    )
    command.add_argument("folder", type=Path, help="output folder of a run")
    command.add_argument("--watch", action="store_true", help="keep showing it until all cells have ended")
    command.add_argument("--json", action="store_true", help="one JSON object")
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 if a cell is damaged.

    With `--watch`, it ends when all cells have ended, or with Ctrl-C.
    """
    options = parser().parse_args(arguments)
    folder = RunFolder(options.folder)
    reader = StatusReader(folder)
    if options.json:
        status = reader.read()
        content = {
            "counts": dict(status.counts),
            "running": [asdict(cell) for cell in status.running],
            "damaged": list(status.damaged),
        }
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
        return tell_lines(folder, status.damaged)
    with StatusDisplay(Terminal()) as display:
        try:
            while True:
                status = reader.read()
                display.show(status)
                if not options.watch or status.ended == status.cells:
                    break
                time.sleep(reader.pause(SECONDS))
        except KeyboardInterrupt:
            return 0
    return tell_lines(folder, status.damaged)
