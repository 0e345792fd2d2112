"""`gifd-bench train-prior`: train a generative prior on your own images."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from jsonargparse import ArgumentParser

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import below
from gifd_bench.benchmark.matrix.config_files import find_config, read_yaml
from gifd_bench.common.errors import one_line


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench train-prior",
        description="Train a conditional generator on a folder (or zip) with one folder of images for each "
        "class. Give the command again to continue from its last checkpoint.",
        epilog="any field of the configuration can be set here, for example --steps=20000 --data=DIR",
        allow_abbrev=False,
    )
    command.add_argument("config", help="a YAML file, or a bundled one such as priors/cifar10")
    command.add_argument("--output", type=Path, help="default: runs/priors/NAME")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options, overrides = parser().parse_known_args(arguments)
    # Imported here, so that the help does not wait for it.
    from gifd_bench.priors.training.train import TrainingConfig, train_prior

    path = find_config(options.config)
    typed = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    typed.add_class_arguments(TrainingConfig, "prior")
    try:
        parsed = typed.parse_object({"prior": read_yaml(path)})
        config = typed.instantiate(typed.parse_args(below("prior", overrides), namespace=parsed)).prior
    except argparse.ArgumentError as error:
        raise BenchmarkError(f"{path}: {one_line(error)}") from error
    command = shlex.join(["gifd-bench", "train-prior", *arguments])
    weights = train_prior(config, options.output or Path("runs/priors") / config.name, command)
    sys.stdout.write(f"{weights}\n")
    return 0
