"""Dividing the time of an audit among its attacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """The time that an attack takes on this machine, in seconds.

    Attributes:
        full: with the settings of its paper, or those that are recommended here.
        least: the time below which the attack is useless.
    """

    full: float
    least: float


def shares(costs: Sequence[Cost], seconds: float) -> list[float | None]:
    """The time of each attack: equal shares, and what some do not need goes to the others.

    Args:
        costs: the costs of the attacks, the most promising attack first.
        seconds: the time for all of them together.

    Returns:
        Seconds; `None` for attacks at the end for which the time is not enough. The first attack always has
        a share.
    """
    count = len(costs)
    while count > 1:
        given = _filled([cost.full for cost in costs[:count]], seconds)
        if all(share >= min(cost.least, cost.full) for share, cost in zip(given, costs, strict=False)):
            break
        count -= 1
    given = _filled([cost.full for cost in costs[:count]], seconds)
    return [*given, *[None] * (len(costs) - count)]


def _filled(needs: Sequence[float], seconds: float) -> list[float]:
    """Equal shares, none above its need; what that leaves is divided again."""
    given = [0.0] * len(needs)
    left, waiting = seconds, sorted(range(len(needs)), key=lambda k: needs[k])
    for place, k in enumerate(waiting):
        given[k] = min(needs[k], left / (len(needs) - place))
        left -= given[k]
    return given
