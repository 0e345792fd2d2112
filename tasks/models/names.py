"""Architectures by the names that a library gives them."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from gifd_bench.tasks.errors import TaskError


def no_architecture(library: str, name: str, known: Collection[str]) -> TaskError:
    """The error for a name that a library does not know, with the most similar names."""
    close = get_close_matches(name, known, n=5, cutoff=0.5)
    hint = f"close to it are: {', '.join(close)}" if close else f"it has {len(known)} others"
    return TaskError(f"{library} has no classifier '{name}'; {hint}")
