"""Training victims here."""

from __future__ import annotations

from gifd_bench.tasks.training.cache import trained_victim, victim_facts, victim_file
from gifd_bench.tasks.training.images import LabelledImages, load_images
from gifd_bench.tasks.training.settings import VictimTraining
from gifd_bench.tasks.training.train import accuracy, train_victim

__all__ = [
    "LabelledImages",
    "VictimTraining",
    "accuracy",
    "load_images",
    "train_victim",
    "trained_victim",
    "victim_facts",
    "victim_file",
]
