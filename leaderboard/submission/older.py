"""Options of registered attacks as earlier versions wrote them, in entries that are never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Once written as a class and its arguments; today by the arguments alone, of which some have other names.
_RADII: Mapping[str, Mapping[str, str]] = {
    "PerEntry": {"radius": "per_entry"},
    "PerStage": {"radii": "per_stage"},
    "Growing": {},
}


def as_today(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same options, in the form of this version.

    Args:
        options: options of a registered attack, of any version.
    """
    found = {name: _radii(value) for name, value in options.items()}
    # `None` was once the word for the paper's loss, which has a name today and is what the attack has
    # where none is given.
    for name in ("loss", "matching"):
        if name in found and found[name] is None:
            del found[name]
    return found


def _radii(value: Any) -> Any:
    if not (isinstance(value, dict) and value.keys() == {"class_path", "init_args"}):
        return value
    names = _RADII.get(str(value["class_path"]).rpartition(".")[2])
    if names is None or not isinstance(value["init_args"], dict):
        return value
    return {names.get(name, name): inner for name, inner in value["init_args"].items()}
