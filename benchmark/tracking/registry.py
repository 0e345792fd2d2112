"""Trackers, by name."""

from __future__ import annotations

from gifd_bench.benchmark.tracking.base import Tracker
from gifd_bench.benchmark.tracking.csv import CsvTracker
from gifd_bench.benchmark.tracking.tensorboard import TensorBoardTracker
from gifd_bench.benchmark.tracking.wandb import WandbTracker

TRACKERS: dict[str, type[Tracker]] = {
    "none": Tracker,
    "csv": CsvTracker,
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
}
