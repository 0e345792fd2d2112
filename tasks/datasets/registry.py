"""Datasets that targets are drawn from, by name."""

from __future__ import annotations

from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.cifar import Cifar10, Cifar100
from gifd_bench.tasks.datasets.ffhq import FFHQ
from gifd_bench.tasks.datasets.folder import ImageFolder
from gifd_bench.tasks.datasets.imagenet import ImageNet
from gifd_bench.tasks.datasets.pacs import PACS
from gifd_bench.tasks.datasets.photos import Photos

DATASETS: dict[str, type[Dataset]] = {
    "cifar10": Cifar10,
    "cifar100": Cifar100,
    "ffhq": FFHQ,
    "folder": ImageFolder,
    "imagenet": ImageNet,
    "pacs": PACS,
    "photos": Photos,
}
