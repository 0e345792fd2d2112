"""`gifd-bench priors`: the priors and how they come apart."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from gifd_bench.priors.overview import PriorFacts, overview


def run(arguments: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="gifd-bench priors", description="List priors with stages, sizes and weights."
    )
    parser.add_argument("--stages", action="store_true", help="also list what every stage searches")
    options = parser.parse_args(arguments)
    console = Console()
    facts = overview()
    table = Table(box=None, pad_edge=False)
    for heading in ("prior", "size", "classes", "latent", "parameters", "stages", "weights", "present"):
        table.add_column(heading, no_wrap=heading != "weights")
    for prior in facts:
        table.add_row(*_cells(prior))
    console.print(table)
    if not options.stages:
        console.print("\nwhat each stage searches: gifd-bench priors --stages", highlight=False)
        return 0
    for prior in facts:
        console.print(f"\n[bold]{_title(prior)}[/bold]", highlight=False)
        for number, stage in enumerate(prior.stages):
            tensors = (f"{name} {'x'.join(map(str, shape))}" for name, shape in stage.searched.items())
            line = f"  {number:2} {stage.name:10} {', '.join(tensors)}"
            console.print(line, highlight=False, soft_wrap=True)
    return 0


def _cells(prior: PriorFacts) -> list[str]:
    numbers = (prior.size, prior.classes or "–", prior.latent, f"{prior.parameters:,}", len(prior.stages))
    return [_title(prior), *map(str, numbers), prior.weights, "yes" if prior.present else "no"]


def _title(prior: PriorFacts) -> str:
    return f"{prior.name} ({prior.variant})" if prior.variant else prior.name
