"""Points of a trade-off, read back from the table that `gifd-bench tradeoff` writes."""

from __future__ import annotations

import csv
from pathlib import Path

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.statistics.interval import Interval
from gifd_bench.benchmark.tradeoff.points import Leak, Point


def read_points(path: Path) -> list[Point]:
    """The points, in the order of the table.

    Raises:
        BenchmarkError: it is not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        by_defense: dict[tuple[str, str], list[dict[str, str]]] = {}
        for row in rows:
            by_defense.setdefault((row["task"], row["defense"]), []).append(row)
        return [_point(of_defense) for of_defense in by_defense.values()]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise BenchmarkError(f"{path}: not a table of gifd-bench tradeoff ({error!r})") from error


def _point(rows: list[dict[str, str]]) -> Point:
    first = rows[0]
    leaks = tuple(_leak(row, int(row["images"])) for row in rows if row["attack"])
    return Point(
        task=first["task"],
        defense=first["defense"],
        kind=first["kind"],
        strength=first["strength"],
        leaks=leaks,
        accuracy=_interval(first, "accuracy", int(first["seeds"])) if first["accuracy"] else None,
        epsilon=_number(first["epsilon"]),
        reason=first["reason"] or None,
        failed=int(first["failed_cells"]),
    )


def _leak(row: dict[str, str], images: int) -> Leak:
    identified, psnr, ssim = (_interval(row, name, images) for name in ("identified", "psnr", "ssim"))
    return Leak(row["attack"], identified, psnr, ssim, images)


def _interval(row: dict[str, str], name: str, n: int) -> Interval:
    return Interval(float(row[name]), _number(row[f"{name}_low"]), _number(row[f"{name}_high"]), n)


def _number(text: str) -> float | None:
    return float(text) if text else None
