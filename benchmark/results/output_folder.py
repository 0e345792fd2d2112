"""Output folders, each of which holds one thing forever."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.errors import BenchmarkError


def is_new(folder: Path, record: Path, read: Callable[[], Any], wanted: Any, kind: str, other: str) -> bool:
    """Whether an output folder still has to be made; false if it already holds what is wanted.

    Args:
        folder: the folder, which may not exist yet.
        record: the file in it that says what it holds.
        read: returns what the record says, as JSON values.
        wanted: what the folder is to hold, as JSON values.
        kind: what such a folder holds, for error messages.
        other: a name for what holds something else, for error messages.

    Raises:
        BenchmarkError: it holds something else; nothing is written.
    """
    if not has_record(folder, record, kind):
        return True
    difference = first_difference(read(), wanted)
    if difference:
        raise BenchmarkError(f"{folder}: holds {other} ({difference}); choose another --output")
    return False


def has_record(folder: Path, record: Path, kind: str) -> bool:
    """Whether an output folder says what it holds; false if it is missing or empty.

    Args:
        folder: the folder, which may not exist yet.
        record: the file in it that says what it holds.
        kind: what such a folder holds, for error messages.

    Raises:
        BenchmarkError: it is not a folder, or holds something and does not say what.
    """
    if folder.exists() and not folder.is_dir():
        raise BenchmarkError(f"{folder}: not a folder; choose another --output")
    if record.is_file():
        return True
    if folder.is_dir() and any(folder.iterdir()):
        raise BenchmarkError(f"{folder}: not empty and not {kind}; choose another --output")
    return False


def first_difference(found: Any, wanted: Any, key: str = "") -> str | None:
    """Where two JSON values first differ, as `key: found, not wanted`; `None` if they are equal."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        pairs = [(name, found.get(name), wanted.get(name)) for name in sorted({*found, *wanted})]
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        pairs = [(str(i), f, w) for i, (f, w) in enumerate(zip(found, wanted, strict=True))]
    else:
        return None if found == wanted else f"{key}: {found}, not {wanted}"
    below = (first_difference(f, w, f"{key}.{name}" if key else name) for name, f, w in pairs)
    return next((difference for difference in below if difference), None)


def without_code(config: Any) -> Any:
    """A configuration without what identifies the code of components from outside."""
    if isinstance(config, dict):
        return {name: without_code(value) for name, value in config.items() if name != "code"}
    return [without_code(value) for value in config] if isinstance(config, list) else config
