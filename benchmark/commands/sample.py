"""`gifd-bench sample`: look at what a prior makes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from jsonargparse import ArgumentParser
from torchvision.utils import save_image

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component, add_options, below, plain
from gifd_bench.common.errors import one_line
from gifd_bench.priors.base import UNKNOWN_CLASS, Prior


def run(arguments: list[str]) -> int:
    """Run the command."""
    known = argparse.ArgumentParser(
        prog="gifd-bench sample",
        description="Write a grid of random images of a prior: one row a class (the first 20).",
        epilog="options of the prior follow, for example: gifd-bench sample biggan --weights=FOLDER",
        allow_abbrev=False,
    )
    known.add_argument("prior", help="see `gifd-bench priors`")
    known.add_argument("--output", type=Path, required=True, help="a .png file, which must not exist yet")
    known.add_argument("--columns", type=int, default=8)
    known.add_argument("--seed", type=int, default=0)
    options, rest = known.parse_known_args(arguments)
    if options.output.suffix != ".png" or not options.output.parent.is_dir():
        raise BenchmarkError(f"{options.output}: a .png file in a folder that exists is expected")
    if options.output.exists():
        raise BenchmarkError(f"{options.output}: exists; it is not written over")
    if not 1 <= options.columns <= 100:
        raise BenchmarkError(f"--columns must be between 1 and 100, not {options.columns}")
    prior: Prior = _component(options.prior, rest).build()
    classes = (
        torch.arange(min(len(prior.class_names), 20))
        if prior.class_names
        else torch.full((8,), UNKNOWN_CLASS)
    )
    generator = torch.Generator().manual_seed(options.seed)
    # Row by row: a large generator need not hold the whole grid.
    rows = [prior.sample(row.repeat(options.columns), generator) for row in classes[:, None]]
    save_image(torch.cat(rows), options.output, nrow=options.columns, padding=1)
    sys.stdout.write(f"{options.output}\n")
    return 0


def _component(name: str, arguments: list[str]) -> Component:
    """The prior with options from the command line."""
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    add_options(parser, "prior", name, "prior")
    try:
        parsed = plain(parser, parser.parse_args(below("prior", arguments)))
    except argparse.ArgumentError as error:
        raise BenchmarkError(f"prior '{name}': {one_line(error)}") from error
    return Component("prior", name, name, parsed.get("prior") or {})
