"""Every cell of a run as one packed value, from which the page makes the rows that are looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gifd_bench.benchmark.report.naming import Names
from gifd_bench.benchmark.report.packing import packed
from gifd_bench.benchmark.report.summary import ShownMetric
from gifd_bench.benchmark.results.rows import Row


@dataclass(frozen=True)
class CellTable:
    """The table of every cell.

    Attributes:
        headings: of its columns.
        rows: how many.
        content: column by column, compressed: numbers as they are, texts as positions in a list of them.
    """

    headings: tuple[str, ...]
    rows: int
    content: str


def cell_table_of(rows: Sequence[Row], metrics: Sequence[ShownMetric], names: Names) -> CellTable:
    """The table of some rows."""
    columns: list[tuple[str, dict[str, Any]]] = [
        ("task", _texts([row.task for row in rows])),
        ("defense", _texts([row.defense for row in rows], names.defenses)),
        ("attack", _texts([row.attack_name for row in rows], names.attacks)),
        ("target", _numbers([row.target for row in rows])),
        ("seed", _numbers([row.seed for row in rows])),
        ("status", _texts([row.status for row in rows])),
        *((f"{m.heading} {m.arrow}", _numbers([getattr(row, m.name) for row in rows], 4)) for m in metrics),
        ("matching loss", _numbers([row.matching_loss for row in rows], 5)),
        ("evaluations", _numbers([row.gradient_evaluations for row in rows])),
        ("seconds", _numbers([row.seconds for row in rows], 1)),
        ("folder", {"plain": [row.id for row in rows]}),
    ]
    return CellTable(
        tuple(heading for heading, _ in columns),
        len(rows),
        packed([{"heading": heading, **column} for heading, column in columns]),
    )


def _texts(values: Sequence[str], shown: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A column of few different texts; `shown` says how people read each of them."""
    keys = list(dict.fromkeys(values))
    position = {key: k for k, key in enumerate(keys)}
    texts = [(shown or {}).get(key, key) for key in keys]
    return {"keys": keys, "texts": texts, "codes": [position[value] for value in values]}


def _numbers(values: Sequence[float | None], digits: int = 0) -> dict[str, Any]:
    """A column of numbers; `None` where there is none."""
    rounded = [None if value is None else round(value, digits) for value in values]
    return {"numbers": rounded if digits else [None if v is None else int(v) for v in rounded]}
