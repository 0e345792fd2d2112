"""`gifd-bench report`: write the HTML page of a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmark.report.page import write_report
from benchmark.results.rows import rows_of
from benchmark.results.run_folder import RunFolder


def run(arguments: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="gifd-bench report",
        description="Write FOLDER/report.html: truth and reconstructions side by side.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, help="output folder of a run")
    folder = RunFolder(parser.parse_args(arguments).folder)
    write_report(folder, rows_of(folder))
    sys.stdout.write(f"{folder.report}\n")
    return 0
