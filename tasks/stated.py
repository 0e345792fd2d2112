"""Settings as JSON values, which identify them."""

from __future__ import annotations

from dataclasses import field, fields, is_dataclass
from typing import Any

_LATER = {"later": True}


def later(default: Any) -> Any:
    """A field that was added to a settings dataclass after its first version.

    At its default, it is not stated, so the identity of settings that do not set it stays what it was.
    """
    return field(default=default, metadata=_LATER)


def stated(settings: Any) -> dict[str, Any]:
    """All fields of a dataclass as plain values, without later fields that hold their default."""
    return {
        one.name: _plain(getattr(settings, one.name))
        for one in fields(settings)
        if not (one.metadata.get("later") and getattr(settings, one.name) == one.default)
    }


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return stated(value)
    return list(value) if isinstance(value, tuple) else value
