"""`gifd-bench sample`: look at samples of a prior."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jsonargparse import ArgumentParser

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component, add_options, below, plain
from gifd_bench.common.errors import one_line
from gifd_bench.common.files import written_whole
from gifd_bench.priors.registry import PRIORS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench sample",
        description="Write a grid of random images of a prior: one row for each class (the first 20).",
        epilog="options of the prior follow, for example: gifd-bench sample biggan --weights=FOLDER",
        allow_abbrev=False,
    )
    command.add_argument("prior", help="see `gifd-bench priors`; or package.module:Name, or file.py:Name")
    command.add_argument("--output", type=Path, required=True, help="a .png file, which must not exist yet")
    command.add_argument("--columns", type=int, default=8)
    command.add_argument("--seed", type=int, default=0)
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options, rest = parser().parse_known_args(arguments)
    if options.output.suffix != ".png" or not options.output.parent.is_dir():
        raise BenchmarkError(f"{options.output}: a .png file in a folder that exists is expected")
    if options.output.exists():
        raise BenchmarkError(f"{options.output}: exists; it is not written over")
    if not 1 <= options.columns <= 100:
        raise BenchmarkError(f"--columns must be between 1 and 100, not {options.columns}")
    component = _component(options.prior, rest)
    _write_grid(component, options.columns, options.seed, options.output)
    sys.stdout.write(f"{options.output}\n")
    return 0


def _write_grid(component: Component, columns: int, seed: int, output: Path) -> None:
    # Imported here, so that the help and a wrong option do not wait for it.
    import torch
    from torchvision.utils import save_image

    from gifd_bench.priors.base import UNKNOWN_CLASS

    prior = PRIORS.make(component.name, component.arguments())
    classes = (
        torch.arange(min(len(prior.class_names), 20))
        if prior.class_names
        else torch.full((8,), UNKNOWN_CLASS)
    )
    generator = torch.Generator().manual_seed(seed)
    # Row by row: a large generator need not hold the whole grid.
    rows = [prior.sample(row.repeat(columns), generator) for row in classes[:, None]]
    with written_whole(output) as partial:
        save_image(torch.cat(rows), partial, nrow=columns, padding=1, format="png")


def _component(name: str, arguments: list[str]) -> Component:
    """The prior with options from the command line."""
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    add_options(parser, "prior", name, "prior")
    try:
        parsed = plain(parser, parser.parse_args(below("prior", arguments)))
    except argparse.ArgumentError as error:
        raise BenchmarkError(f"prior '{name}': {one_line(error)}") from error
    return Component("prior", name, name, parsed.get("prior") or {})
