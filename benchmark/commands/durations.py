"""Times for people to read."""

from __future__ import annotations

from itertools import pairwise

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """At most two units, such as `3 h 5 min`; at least a second."""
    left = max(1, round(seconds))
    for (name, size), (smaller, small) in pairwise(UNITS):
        if left >= size:
            rest = left % size // small
            return f"{left // size:,} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{left} s"
