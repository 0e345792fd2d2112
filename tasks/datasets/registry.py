"""The datasets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gifd_bench.common.registry import Registry

if TYPE_CHECKING:
    from gifd_bench.tasks.datasets.base import Dataset

_HERE = "gifd_bench.tasks.datasets"

DATASETS: Registry[type[Dataset]] = Registry(
    "dataset",
    {
        "cifar10": f"{_HERE}.cifar:Cifar10",
        "cifar100": f"{_HERE}.cifar:Cifar100",
        "ffhq": f"{_HERE}.ffhq:FFHQ",
        "folder": f"{_HERE}.folder:ImageFolder",
        "imagenet": f"{_HERE}.imagenet:ImageNet",
        "pacs": f"{_HERE}.pacs:PACS",
        "photos": f"{_HERE}.photos:Photos",
    },
    promise=f"{_HERE}.base:Dataset",
)
