"""Small frozen dataclasses as the value of one option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

import yaml
from jsonargparse import ArgumentParser
from jsonargparse.typing import register_type

T = TypeVar("T")


def as_one_value(kind: type[T]) -> type[T]:
    """Let a frozen dataclass be the value of an option: a mapping of its fields, which is set as a whole.

    Otherwise a mapping that the user gives would be mixed with that of the default, and a field whose value
    is one of several dataclasses could not change from one to another.
    """
    register_value(kind, asdict)
    return kind


def register_value(kind: type[Any], plain: Callable[[Any], Any]) -> None:
    """Let objects of a type be values of options, with a function that gives an object's JSON value."""
    register_type(kind, plain, _Reader(kind), deserializer_exceptions=(Exception,))


class _Reader:
    """Turns what a file or a command line gives into the object."""

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind

    def __call__(self, value: Any) -> Any:
        if isinstance(value, self.kind):
            return value
        given = yaml.safe_load(value) if isinstance(value, str) else value
        if not isinstance(given, dict):
            raise ValueError("a mapping is expected, with all that it is to hold")
        parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
        parser.add_class_arguments(self.kind, instantiate=False)
        return self.kind(**vars(parser.instantiate(parser.parse_object(given))))
