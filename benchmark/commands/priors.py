"""`gifd-bench priors`: the priors and their stages."""

from __future__ import annotations

import argparse

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.common.tables import Column, FittedTable
from gifd_bench.priors.overview import ListedPrior, overview, stage_facts
from gifd_bench.priors.registry import PRIORS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench priors", description="List priors with stages, sizes and weights."
    )
    command.add_argument("--stages", action="store_true", help="also list what every stage searches")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    console = Terminal()
    priors = overview()
    headings = ("prior", "size", "classes", "latent", "parameters", "stages", "weights", "present")
    table = FittedTable([Column(heading) for heading in headings])
    for prior in priors:
        table.add_row(*_cells(prior))
    for name, path in sorted(PRIORS.installed().items()):
        table.add_row(name, *["–"] * 5, f"from an installed package: {path}", "–")
    console.print(table)
    if not options.stages:
        console.print("\nwhat each stage searches: gifd-bench priors --stages", highlight=False)
        return 0
    for prior in priors:
        console.print(f"\n[bold]{prior.title}[/bold]", highlight=False)
        for number, stage in enumerate(stage_facts(prior.variant.network())):
            tensors = (f"{name} {'x'.join(map(str, shape))}" for name, shape in stage.searched.items())
            line = f"  {number:2} {stage.name:10} {', '.join(tensors)}"
            console.print(line, highlight=False, soft_wrap=True)
    return 0


def _cells(prior: ListedPrior) -> list[str]:
    shape = prior.variant
    numbers = (shape.image_size, shape.classes or "–", shape.latent, f"{shape.parameters:,}")
    return [
        prior.title,
        *map(str, numbers),
        str(len(shape.stages)),
        prior.origin,
        "yes" if prior.present else "no",
    ]
