"""`gifd-bench list`: what there is."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.matrix.component import CATALOGUE, describe
from gifd_bench.benchmark.matrix.files import bundled_configs, find_config, read_yaml


def run(arguments: list[str]) -> int:
    """Run the command."""
    argparse.ArgumentParser(
        prog="gifd-bench list",
        description="List attacks, priors, datasets, models, defenses and configurations.",
    ).parse_args(arguments)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for kind in ("attack", "prior", "dataset", "model", "defense"):
        for name in sorted(CATALOGUE[kind]):
            table.add_row(kind, name, describe(kind, name))
    for name, path in sorted(ATTACKS.installed().items()):
        table.add_row("attack", name, f"from an installed package: {path}")
    for name in bundled_configs():
        table.add_row("config", name, str(read_yaml(find_config(name)).get("description", "")))
    Console().print(table)
    return 0
