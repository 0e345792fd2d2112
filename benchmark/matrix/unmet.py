"""Cells that make no sense, which is known before anything is run."""

from __future__ import annotations

import json
from functools import lru_cache

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component

# Rules that find each class once at most.
DISTINCT = ("row_minimum", "row_sum")


def unmet(cell: Cell) -> str | None:
    """Why a cell makes no sense, in one line: it is to be skipped; null where it can run.

    The attack is built once for all cells that share it.

    Raises:
        BenchmarkError: the attack cannot be built.
    """
    settings = cell.task.settings
    attack = _attack(cell.attack.canonical)
    return attack.unmet(settings.threat_model, settings.client.local is not None) or _no_labels(cell)


def _no_labels(cell: Cell) -> str | None:
    """Why the attack's rule cannot infer the labels of the cell's batch."""
    images = cell.task.settings.images
    if cell.task.settings.threat_model.labels == "known":
        return None
    rule = cell.attack.options.get("label_rule")
    if rule == "idlg" and images > 1:
        return f"label_rule=idlg is for one image, and the server sees the update of {images}"
    # A folder's classes are only known when it is read.
    classes = getattr(cell.task.dataset.factory(), "class_names", None)
    if rule in DISTINCT and classes is not None and images > len(classes):
        return (
            f"label_rule={rule} finds each class once, and {images} images have only {len(classes)} classes"
        )
    return None


@lru_cache(maxsize=1024)
def _attack(canonical: str) -> Attack:
    attack: Attack = Component.from_config("attack", json.loads(canonical)).build()
    return attack
