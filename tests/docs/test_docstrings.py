"""Every public class, function and method says what it is, itself or through what it overrides."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import pytest

import gifd_bench

# Workers and the sandbox's child are programs: importing them is running them.
PROGRAMS = ("gifd_bench.__main__", "gifd_bench.leaderboard.rerun.child")
MODULES = [
    module.name
    for module in walk_packages(gifd_bench.__path__, "gifd_bench.")
    if module.name not in PROGRAMS
]


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The public functions and classes that a module defines, and the public methods of these classes."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            yield name, value
            for member, method in vars(value).items():
                # The default of a field may be a function, too.
                own = inspect.isfunction(method) and method.__qualname__ == f"{value.__qualname__}.{member}"
                if not member.startswith("_") and (own or isinstance(method, property | classmethod)):
                    yield f"{name}.{member}", method


def says_what_it_is(owner: ModuleType, name: str, value: Any) -> bool:
    """Whether there is a docstring, of the object itself or of what it overrides."""
    if "." not in name:
        return bool(value.__doc__)
    of_class, member = name.split(".")
    bases = inspect.getmro(getattr(owner, of_class))
    return any(getattr(vars(base)[member], "__doc__", None) for base in bases if member in vars(base))


@pytest.mark.parametrize("module", MODULES)
def test_public_names_say_what_they_are(module: str) -> None:
    imported = import_module(module)
    assert imported.__doc__
    assert [name for name, value in public(imported) if not says_what_it_is(imported, name, value)] == []
