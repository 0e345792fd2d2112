"""`gifd-bench speed`: what a gradient evaluation of an attack takes on this machine."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.results.tables import markdown
from gifd_bench.common.errors import ExitStatus, one_line
from gifd_bench.common.files import write_text
from gifd_bench.common.registry import unknown

if TYPE_CHECKING:
    from gifd_bench.benchmark.speed import Speed

# Label, model and architecture of the victims.
VICTIMS = {
    "convnet": ("convnet", None),
    "resnet18": ("torchvision", "resnet18"),
    "vgg11": ("torchvision", "vgg11"),
    "mobilenet_v2": ("torchvision", "mobilenet_v2"),
}
QUICK_ATTACKS = ("ig", "ggl", "gifd")
BEGIN, END = "<!-- gifd-bench speed: begin -->", "<!-- gifd-bench speed: end -->"
HEADINGS = (
    "victim",
    "device",
    "attack",
    "prior",
    "lanes",
    "stage",
    "path",
    "evaluations/s",
    "gradients",
    "bare loop",
    "MiB",
)
EPILOG = """gradients: time of an evaluation, in first-order gradients of the same image by the same victim;
bare loop: the same of a bare loop of double backward; MiB: at the peak, more than before the inversion.
Both loops and the attacks take turns in one process; medians of the turns are shown."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench speed",
        description="Measure what a gradient evaluation of attacks takes on this machine, with one "
        "photograph of 32x32 pixels under attack and one thread an operation.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("--attacks", nargs="+", metavar="NAME", help="default: all bundled ones")
    command.add_argument(
        "--victims", nargs="+", metavar="NAME", default=["convnet", "resnet18"], help=", ".join(VICTIMS)
    )
    command.add_argument("--priors", nargs="+", metavar="NAME", default=["cifar10"])
    command.add_argument(
        "--devices", nargs="+", metavar="NAME", help="such as cpu or cuda; default: cpu, and a GPU if any"
    )
    command.add_argument(
        "--lanes", nargs="+", type=int, metavar="N", default=[1, 4], help="restarts side by side"
    )
    command.add_argument("--iterations", type=int, help="iterations of each stage in a turn (default: 10)")
    command.add_argument("--turns", type=int, help="how often everything is measured (default: 3)")
    command.add_argument(
        "--quick", action="store_true", help=f"{', '.join(QUICK_ATTACKS)} alone, 4 iterations, 2 turns"
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    command.add_argument("--csv", type=Path, metavar="FILE", help="write the rows there too")
    command.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help=f"put the table into this page, between the lines {BEGIN} and {END}",
    )
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    attacks = options.attacks or (QUICK_ATTACKS if options.quick else tuple(ATTACKS.bundled))
    iterations = options.iterations or (4 if options.quick else 10)
    turns = options.turns or (2 if options.quick else 3)
    for name, least, number in (
        ("iterations", 2, iterations),
        ("turns", 1, turns),
        ("lanes", 1, min(options.lanes)),
    ):
        if number < least:
            raise BenchmarkError(f"--{name} must be at least {least}, not {number}")
    for victim in options.victims:
        if victim not in VICTIMS:
            raise BenchmarkError(unknown("victim", victim, list(VICTIMS)))
    page = None if options.markdown is None else _read_page(options.markdown)
    # Imported here, because torch takes seconds to import.
    import torch

    from gifd_bench.benchmark.speed import Effort, Victim, cases_of, speeds

    cases = cases_of(attacks, options.priors, options.lanes)
    devices = options.devices or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        _check_device(device)
    victims = [Victim(label, *VICTIMS[label]) for label in options.victims]
    console = Terminal()
    with console.status("measuring"):
        rows = list(speeds(victims, devices, cases, Effort(iterations, turns)))
    _print(console, rows)
    if options.json is not None:
        write_text(options.json, json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if options.csv is not None:
        write_text(options.csv, _csv(rows))
    if page is not None:
        made = f"Made by `gifd-bench {shlex.join(['speed', *arguments])}`, with torch {torch.__version__}."
        block = f"{BEGIN}\n\n{markdown(HEADINGS, [_texts(row) for row in rows])}\n\n{made}\n\n{END}"
        write_text(options.markdown, _block().sub(lambda _: block, page))
    return ExitStatus.DONE


def _check_device(name: str) -> None:
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise BenchmarkError(f"--devices {name}: {one_line(error)}") from error


def _block() -> re.Pattern[str]:
    return re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)


def _read_page(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({one_line(error)})") from error
    if len(_block().findall(text)) != 1:
        raise BenchmarkError(f"{path}: the lines {BEGIN} and {END} are expected once in it")
    return text


def _texts(row: Speed) -> list[str]:
    return [
        row.victim,
        row.device,
        row.attack,
        row.prior or "–",
        str(row.lanes),
        row.stage,
        row.path,
        f"{row.evaluations:.0f}" if row.evaluations >= 10 else f"{row.evaluations:.1f}",
        f"{row.gradients:.2f}",
        f"{row.bare:.2f}",
        "–" if row.memory is None else f"{row.memory:.0f}",
    ]


def _print(console: Console, rows: Sequence[Speed]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in HEADINGS[:4] else "right", no_wrap=True)
    for row in rows:
        table.add_row(*_texts(row))
    console.width = max(console.width, 120)
    console.print(table)
    console.print(EPILOG, markup=False, highlight=False)


def _csv(rows: Sequence[Speed]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(asdict(rows[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return stream.getvalue()
