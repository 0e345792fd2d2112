"""`gifd-bench report`: the HTML page of a run, or its table of means as text."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

from gifd_bench.benchmark.commands.damage import tell_damage
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.report.formats import TEXTS, TableOptions
from gifd_bench.benchmark.report.page import write_report
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.common.terminal import write


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench report",
        description="Write FOLDER/report.html: what was found in a few sentences, tables, comparisons, "
        "plots, and truth and reconstructions side by side. Or print the table of means with their "
        "intervals.",
        allow_abbrev=False,
    )
    command.add_argument("folder", type=Path, help="output folder of a run")
    command.add_argument(
        "--format",
        choices=["html", *TEXTS],
        default="html",
        help="html writes the page; the others print the table: latex needs the package booktabs",
    )
    command.add_argument(
        "--columns",
        default="",
        metavar="NAMES",
        help="metrics of the printed table, with commas between them, such as psnr,ssim (default: all)",
    )
    command.add_argument(
        "--significance",
        action="store_true",
        help="with latex: a float whose caption says over how many images the means are, and p values",
    )
    command.add_argument(
        "--single-file",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="put all that the page needs into it (the default); or else its pictures and plotly's script "
        "into FOLDER/report/",
    )
    command.add_argument("--open", action="store_true", help="open the page in the browser")
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 if a cell is damaged."""
    options = parser().parse_args(arguments)
    folder = RunFolder(options.folder)
    rows = rows_of(folder)
    if options.format in TEXTS:
        columns = tuple(name for name in options.columns.split(",") if name)
        table = TEXTS[options.format](rows, TableOptions(columns, options.significance))
        sys.stdout.write(table + "\n")
    else:
        write_report(folder, rows, options.single_file)
        write(str(folder.report))
        if options.open and not webbrowser.open(folder.report.resolve().as_uri()):
            raise BenchmarkError(f"no browser was found; open {folder.report} yourself")
    return tell_damage(folder, rows)
