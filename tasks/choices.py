"""Checks of fields that take one of a few words."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gifd_bench.tasks.errors import TaskError


def check_choices(settings: Any, what: str) -> None:
    """Check every `Literal` field of a dataclass instance.

    Args:
        settings: the instance.
        what: its name in the error message.

    Raises:
        TaskError: a field holds another word than those that it allows.
    """
    hints = get_type_hints(type(settings))
    for field in fields(settings):
        words = get_args(hints[field.name]) if get_origin(hints[field.name]) is Literal else ()
        value = getattr(settings, field.name)
        if words and value not in words:
            raise TaskError(f"{what}.{field.name} is one of {', '.join(words)}, not '{value}'")
