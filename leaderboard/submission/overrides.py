"""Options of an attack that differ from task to task or from defense to defense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gifd_bench.leaderboard.submission.schema import SubmittedOverride, When


def overrides_of(
    options: Mapping[str, Any], by_labels: Mapping[tuple[str, str], Mapping[str, Any]]
) -> list[SubmittedOverride]:
    """How options differ from those that hold elsewhere.

    Args:
        options: every option, with the values that hold unless others are stated.
        by_labels: every option, by the labels of task and defense.
    """
    overrides = []
    for (task, defense), differing in by_labels.items():
        changed = {name: value for name, value in differing.items() if options.get(name) != value}
        if changed:
            overrides.append(SubmittedOverride(when=When(tasks=[task], defenses=[defense]), set=changed))
    return overrides
