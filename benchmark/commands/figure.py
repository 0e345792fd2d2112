"""`gifd-bench figure`: a figure of a run for a paper."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

KINDS = ("strip", "curves", "bars", "tradeoff")
FORMATS = ("pdf", "svg", "png")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench figure",
        description="Draw a figure of a run in the sizes and fonts of a paper of two columns: the truth "
        "beside what attacks made of it (strip), what was found against what it cost (curves), means "
        "with their intervals by defense or its strength (bars), or what `gifd-bench tradeoff` found "
        "(tradeoff).",
        allow_abbrev=False,
    )
    command.add_argument("folder", type=Path, help="output folder of a run")
    command.add_argument(
        "--kind", choices=KINDS, default="strip", help="kind of the figure (default: strip)"
    )
    command.add_argument(
        "--format", choices=FORMATS, default="pdf", help="format of the file (default: pdf)"
    )
    command.add_argument("--task", help="label of the task; needed if there are several")
    command.add_argument("--output", type=Path, help="file to write (default: FOLDER/KIND.FORMAT)")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    import matplotlib as mpl

    from gifd_bench.benchmark.figures import kinds, style, subject
    from gifd_bench.benchmark.results.rows import rows_of
    from gifd_bench.benchmark.results.run_folder import RunFolder

    folder = RunFolder(options.folder)
    about = subject.subject_of(folder, rows_of(folder), options.task)
    path: Path = options.output or folder.path / f"{options.kind}.{options.format}"
    with mpl.rc_context(style.SETTINGS):
        style.save(kinds.KINDS[options.kind](about), path, options.format)
    sys.stdout.write(f"{path}\n")
    return 0
