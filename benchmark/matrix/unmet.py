"""Cells that make no sense, which is known before anything is run."""

from __future__ import annotations

import json
from functools import lru_cache

from gifd_bench.benchmark.attacks.options import AttackOptions
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.tasks.datasets.registry import DATASETS


def unmet(cell: Cell) -> str | None:
    """Why a cell makes no sense, in one line: it is to be skipped; `None` where it can run.

    Raises:
        UserError: the attack's options do not go together.
    """
    settings, options = cell.task.settings, options_of(cell.attack)
    # The classes of a folder are only known when it is read.
    classes = getattr(DATASETS.signature(cell.task.dataset.name), "class_names", None)
    return options.unmet(settings.threat_model, settings.client.local is not None) or options.unmet_labels(
        settings.threat_model, settings.images, None if classes is None else len(classes)
    )


def options_of(attack: Component) -> AttackOptions:
    """The typed options of an attack; built once for all cells that share it."""
    return _options(attack.name, json.dumps(attack.config(), sort_keys=True))


@lru_cache(maxsize=1024)
def _options(name: str, config: str) -> AttackOptions:
    attack = Component.from_config("attack", json.loads(config))
    return ATTACKS.options(name, attack.arguments())
