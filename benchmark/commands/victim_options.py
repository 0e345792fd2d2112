"""What `train-victim` and `utility` share: options of the training, and held-out images."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.task import training_split
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.training.held_out import hold_back
from gifd_bench.tasks.training.settings import VictimTraining

HELD_BACK = 0.1


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add options for fields of `VictimTraining`; those that are not given are absent."""
    group = parser.add_argument_group("training", argument_default=argparse.SUPPRESS)
    group.add_argument("--epochs", type=int)
    group.add_argument("--batch-size", type=int)
    group.add_argument(
        "--learning-rate", type=float, help="rate of the first step; a cosine brings it to 0"
    )
    group.add_argument("--momentum", type=float)
    group.add_argument("--weight-decay", type=float)
    group.add_argument(
        "--augment", action=argparse.BooleanOptionalAction, help="random crops and mirroring"
    )
    group.add_argument("--limit", type=int, metavar="N", help="train on N images, drawn at random")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the weights, and of everything else random"
    )


def training_from(options: argparse.Namespace, base: VictimTraining) -> VictimTraining:
    """The settings of a training, changed by the command line."""
    given = vars(options)
    return replace(base, **{f.name: given[f.name] for f in fields(base) if f.name in given})


@dataclass(frozen=True)
class VictimData:
    """A dataset in two parts.

    Attributes:
        train: the images for the training.
        held_out: the images for the evaluation.
        facts: what identifies `train`.
    """

    train: Dataset
    held_out: Dataset
    facts: Mapping[str, Any]


def victim_data(dataset: Component, seed: int) -> VictimData:
    """A dataset's training and test splits; if it has none, a tenth of its images is held back.

    Args:
        dataset: the component.
        seed: the seed of the draw of what is held back.
    """
    train = training_split(dataset)
    if "split" in dataset.options:
        test = replace(dataset, options={**dataset.options, "split": "test"})
        return VictimData(train.build(), test.build(), train.config())
    parts = hold_back(train.build(), HELD_BACK, seed)
    return VictimData(*parts, facts={**train.config(), "held_back": [HELD_BACK, seed]})
