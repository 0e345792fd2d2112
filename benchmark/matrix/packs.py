"""Which cells can share an inversion: those that differ only in their target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

from gifd_bench.benchmark.matrix.cell import Cell

Kind: TypeAlias = tuple[object, ...]


def kind_of(cell: Cell) -> Kind:
    """A key that is equal for cells that may share an inversion."""
    prior = cell.prior.canonical if cell.prior else None
    return cell.task.canonical, cell.defense.canonical, prior, cell.attack.canonical, cell.seed


def by_kind(cells: Iterable[Cell]) -> list[Cell]:
    """The cells, those of a kind one after another, in the order in which kinds first occur."""
    kinds: dict[Kind, list[Cell]] = defaultdict(list)
    for cell in cells:
        kinds[kind_of(cell)].append(cell)
    return [cell for kind in kinds.values() for cell in kind]
