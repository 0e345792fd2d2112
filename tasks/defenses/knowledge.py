"""What an attacker may know about a client's defenses, and how the attacker uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gifd_bench.common.errors import UserError, one_line
from gifd_bench.tasks.defenses.base import Defense, Imitation, NoDefense, Update
from gifd_bench.tasks.defenses.composition import Composition, Imitations
from gifd_bench.tasks.defenses.names import name_of
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.errors import TaskError


def describe(defense: Defense) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The name and the parameters of each defense that is applied, in order; empty if there is none.

    Raises:
        TaskError: a defense is defined where nobody else could import it.
    """
    if isinstance(defense, NoDefense):
        return ()
    if isinstance(defense, Composition):
        return tuple(known for part in defense.parts for known in describe(part))
    return ((name_of(type(defense)), asdict(defense)),)


def imitate(observed: Update, known: Sequence[tuple[str, Mapping[str, Any] | None]]) -> Imitation:
    """What an attacker can do who knows these defenses.

    Each defense is estimated from the update as it was observed, after all of them. What a later defense
    has hidden, as noise hides zeros, is therefore not found. Granted parameters mean what they meant to the
    client, before later defenses. A defense from outside the package is imported here.

    Args:
        observed: the update in the order of the model's parameters, on the attack's device.
        known: the name of each defense, and its parameters if they are granted, in the order of
            application. These are the results of `describe`, perhaps read from somebody else's file.

    Raises:
        TaskError: a name is unknown, or a defense does not take the parameters.
    """
    parts = tuple(_kind(name).imitation(observed, _checked(name, options)) for name, options in known)
    return Imitations(parts)


def _kind(name: str) -> type[Defense]:
    try:
        return DEFENSES.find(name)
    except UserError as error:
        raise TaskError(str(error)) from error


def _checked(name: str, options: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """All fields of the defense: the given ones, and its defaults."""
    if options is None:
        return None
    try:
        return asdict(_kind(name)(**options))
    except TypeError as error:
        raise TaskError(f"defense '{name}' does not take these parameters: {one_line(error)}") from error
