"""The board's tables as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gifd_bench.benchmark.statistics.interval import LEVEL, Interval
from gifd_bench.leaderboard.board.ranking import Track, TrackRow

FORMAT = "gifd-bench/board/1"


def track_table(track: Track) -> dict[str, Any]:
    """The table of a track."""
    file = track.protocol.file
    return {
        "format": FORMAT,
        "track": track.key,
        "title": file.title,
        "description": file.description,
        "gradient_evaluations": file.budget.gradient_evaluations,
        "observations": len(track.protocol.rounds),
        "private_images": track.private_images,
        "ranked_by": file.metrics[0],
        "level": LEVEL,
        "entries": [_entry(row) for row in track.rows],
    }


def attack_table(attack: str, entries: Sequence[tuple[Track, Sequence[TrackRow]]]) -> dict[str, Any]:
    """Everything about an attack: its entries in all tracks, with every check and observation."""
    return {
        "format": FORMAT,
        "attack": attack,
        "entries": [
            {
                "track": track.key,
                **_entry(row),
                **row.entry.verification.model_dump(mode="json", include={"checks", "rerun", "scores"}),
            }
            for track, rows in entries
            for row in rows
        ],
    }


def _entry(row: TrackRow) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "shared": row.shared,
        "status": row.status.value,
        "standing": row.entry.verification.standing.value,
        "about": row.entry.about.model_dump(mode="json"),
        "date": row.entry.date,
        "metrics": _intervals(row.intervals),
        "claims": _intervals(row.claims),
        "parts": {
            axis: {label: _intervals(found) for label, found in labels.items()}
            for axis, labels in row.parts.items()
        },
        "gradient_evaluations": row.gradient_evaluations,
        "seconds": row.seconds,
    }


def _intervals(intervals: Mapping[str, Interval | None]) -> dict[str, Any]:
    return {name: asdict(interval) if interval else None for name, interval in intervals.items()}
