"""`gifd-bench train-victim`: train a victim model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gifd_bench.benchmark.commands.victim_options import add_training_options, training_from, victim_data
from gifd_bench.benchmark.matrix.resolve import Resolver
from gifd_bench.common.errors import ExitStatus
from gifd_bench.tasks.models.check import check_model
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.training.cache import trained_victim, victim_facts, victim_file
from gifd_bench.tasks.training.settings import VictimTraining
from gifd_bench.tasks.training.train import accuracy

EPILOG = """options of the dataset and of the model follow, for example
  gifd-bench train-victim --dataset.use=cifar10 --model.use=torchvision --model.architecture=resnet18 \\
    --epochs 20
A task takes the file with --tasks.NAME.weights=file --tasks.NAME.weights_file=FILE"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench train-victim",
        description="Train a model on a dataset's training split, unless that has been done already, and "
        "evaluate it on the test split or, without splits, on a tenth of the images, which is held back.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_training_options(command)
    command.add_argument(
        "--cache",
        type=Path,
        help="folder; default: $GIFD_BENCH_CACHE, or else gifd-bench in the user's cache",
    )
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 130 after an interruption."""
    options, overrides = parser().parse_known_args(arguments)
    training = training_from(options, VictimTraining())
    resolver = Resolver(overrides)
    resolver.declare("dataset", "dataset", "cifar10", None)
    resolver.declare("model", "model", "convnet", None)
    resolver.parse()
    data = victim_data(resolver.component("dataset", "dataset", "dataset"), options.seed)
    part = resolver.component("model", "model", "model")
    spec = ModelSpec(part.name, len(data.train.class_names), data.train.image_size, part.options)
    check_model(spec)
    try:
        model = trained_victim(spec, data.train, data.facts, training, options.seed, options.cache)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was kept\n")
        return ExitStatus.INTERRUPTED
    path = victim_file(spec, data.facts, training, options.seed, options.cache)
    facts = victim_facts(path)
    held_out = accuracy(model, data.held_out)
    sys.stdout.write(
        f"{path}\n"
        f"training accuracy {facts['train_accuracy']:.1%} ({facts['images']:,} images), "
        f"test accuracy {held_out:.1%} ({len(data.held_out):,} images)\n"
    )
    return 0
