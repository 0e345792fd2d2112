"""Cells that cannot run, which is known before anything runs."""

from __future__ import annotations

from gifd_bench.benchmark.attacks.options import AttackOptions
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.tasks.datasets.registry import DATASETS


def unmet(cell: Cell) -> str | None:
    """Why a cell has to be skipped, in one line; `None` if it can run.

    Raises:
        UserError: options of the attack do not fit together.
    """
    settings, options = cell.task.settings, options_of(cell.attack)
    # The classes of a folder are only known when it is read.
    classes = getattr(DATASETS.signature(cell.task.dataset.name), "class_names", None)
    return options.unmet(settings.threat_model, settings.client.local is not None) or options.unmet_labels(
        settings.threat_model, settings.images, None if classes is None else len(classes)
    )


def options_of(attack: Component) -> AttackOptions:
    """The typed options of an attack; built once for all cells that share it."""
    # Two paths may lead to the same code, so the name is part of the key.
    key = (attack.name, attack.canonical)
    if key not in _OPTIONS:
        _OPTIONS[key] = ATTACKS.options(attack.name, attack.arguments())
    return _OPTIONS[key]


# By name and canonical text of the attack: a matrix has few of them, and many cells.
_OPTIONS: dict[tuple[str, str], AttackOptions] = {}
