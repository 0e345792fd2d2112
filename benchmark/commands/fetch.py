"""`gifd-bench fetch`: download what a metric needs and no package may contain."""

from __future__ import annotations

import argparse
import sys

PARTS = ("lpips",)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench fetch",
        description="Download the networks whose features LPIPS compares, AlexNet's and VGG-16's (233 and "
        "528 MiB), to where PyTorch keeps weights. Without them LPIPS is left out, and nothing else.",
        allow_abbrev=False,
    )
    command.add_argument("what", choices=PARTS, help="what to fetch")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    parser().parse_args(arguments)
    from gifd_bench.benchmark.scoring.lpips import BACKBONES, fetch_backbone

    for backbone in BACKBONES:
        sys.stdout.write(f"{fetch_backbone(backbone, progress=sys.stderr.isatty())}\n")
    return 0
