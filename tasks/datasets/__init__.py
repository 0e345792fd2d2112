"""Datasets that targets are drawn from, by name."""

from __future__ import annotations

from tasks.datasets.base import Dataset
from tasks.datasets.photos import Photos

DATASETS: dict[str, type[Dataset]] = {
    "photos": Photos,
}

__all__ = ["DATASETS", "Dataset", "Photos"]
