"""Cells that make no sense, which is known before anything is run."""

from __future__ import annotations

import json
from functools import lru_cache

from gifd_bench.benchmark.attacks.options import AttackOptions
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component


def unmet(cell: Cell) -> str | None:
    """Why a cell makes no sense, in one line: it is to be skipped; null where it can run.

    The attack's options are made once for all cells that share it.

    Raises:
        BenchmarkError: the attack cannot be built.
    """
    settings = cell.task.settings
    options = _options(cell.attack.canonical)
    # A folder's classes are only known when it is read.
    classes = getattr(cell.task.dataset.factory(), "class_names", None)
    return options.unmet(settings.threat_model, settings.client.local is not None) or options.unmet_labels(
        settings.threat_model, settings.images, None if classes is None else len(classes)
    )


@lru_cache(maxsize=1024)
def _options(canonical: str) -> AttackOptions:
    component = Component.from_config("attack", json.loads(canonical))
    return ATTACKS.options(component.name, component.arguments())
