"""`gifd-bench attack`: reconstruct from one observation file alone."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytorch_lightning as pl

from gifd_bench.benchmark.auditing.auditor import Auditor, hash_of
from gifd_bench.benchmark.commands.progress import ProgressDisplay
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.inversion.reconstruction import doubt_about
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.benchmark.results.audit_folder import AuditFolder
from gifd_bench.benchmark.runner import StopRequest
from gifd_bench.common.errors import ExitStatus
from gifd_bench.common.files import read_tensors
from gifd_bench.tasks.observation_file import load_observation

EPILOG = """options of the attack and of the prior follow, for example
  gifd-bench attack it.safetensors --attack gifd --prior cifar10 --output out --attack.restarts=4"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench attack",
        description="Reconstruct the private images of an observation file. There is no truth to compare "
        "with: what comes out is what a server could have seen. Give the command again to continue "
        "where it stopped.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("observation", type=Path, help="as `gifd-bench observe` or your own code wrote it")
    command.add_argument("--attack", required=True, help="see `gifd-bench list`")
    command.add_argument("--prior", help="see `gifd-bench priors`; for attacks that need one")
    command.add_argument("--output", type=Path, required=True, help="folder of the answer")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--model", help="package.module:Class that the observation may import as its model"
    )
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 130 after an interruption."""
    options, overrides = parser().parse_known_args(arguments)
    imports = frozenset([options.model] if options.model else [])
    observation = load_observation(options.observation, imports)
    auditor = Auditor.from_options(options.attack, options.prior, overrides)
    folder = AuditFolder(options.output)
    console = Terminal()
    pl.seed_everything(0, verbose=False)
    prior = auditor.build_prior()
    with StopRequest() as stop, ProgressDisplay(console, 1, 0) as display:
        try:
            auditor.run(
                hash_of(options.observation), observation, prior, options.seed, folder, display, stop
            )
        except (InversionInterrupted, KeyboardInterrupt):
            console.print(f"interrupted; the same command continues from {folder.path}", markup=False)
            return ExitStatus.INTERRUPTED
    answer = folder.read()
    console.print(f"classes: {', '.join(answer.class_names)}", markup=False)
    console.print(f"matching loss: {answer.matching_loss:.4g}", markup=False)
    doubt = doubt_about(answer.matching_loss, read_tensors(folder.reconstruction)["curve"])
    if doubt is not None:
        console.print(f"but {doubt}", markup=False, soft_wrap=True)
    console.print(f"images: {folder.picture}", markup=False, soft_wrap=True)
    return 0
