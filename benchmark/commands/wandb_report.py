"""`gifd-bench wandb-report`: build the W&B Report of a run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.results.rows import Row, rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.tracking.wandb_settings import has_login, project
from gifd_bench.common.errors import one_line
from gifd_bench.common.extras import WANDB_REPORTS
from gifd_bench.common.files import write_json


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench wandb-report",
        description="Build the W&B Report of a run that was tracked with --tracker wandb. With a login it "
        "is saved as a draft on the server; without one its spec is written to FOLDER/wandb-report.json.",
        allow_abbrev=False,
    )
    command.add_argument("folder", type=Path, help="output folder of a run")
    command.add_argument("--entity", default=os.environ.get("WANDB_ENTITY"), help="user or team on W&B")
    command.add_argument("--project", default=project(), help="default: %(default)s")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    WANDB_REPORTS.require("wandb-report")
    # Imported here, because it imports wandb-workspaces.
    from gifd_bench.benchmark.tracking.wandb_report import build_report, spec_of

    folder = RunFolder(options.folder)
    rows = rows_of(folder)
    if has_login():
        return _save(folder, rows, options.entity, options.project)
    report = build_report(folder, rows, options.entity or "", options.project)
    path = options.folder / "wandb-report.json"
    write_json(path, spec_of(report))
    sys.stdout.write(
        f"{path}\n"
        "To publish it, log in (`wandb login`, or set WANDB_API_KEY), then: "
        f"gifd-bench sync {options.folder} && gifd-bench wandb-report {options.folder}\n"
    )
    return 0


def _save(folder: RunFolder, rows: Sequence[Row], entity: str | None, name: str) -> int:
    import wandb

    from gifd_bench.benchmark.tracking.wandb_report import build_report

    try:
        owner = entity or wandb.Api().default_entity or ""
        report = build_report(folder, rows, owner, name).save(draft=True)
    except Exception as error:  # A server may answer, or not answer, in any way.
        raise BenchmarkError(f"the report could not be saved on W&B: {one_line(error)}") from error
    sys.stdout.write(f"{report.url}\n")
    return 0
