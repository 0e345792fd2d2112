"""Code from outside that an observation names: it is imported only if the user has named it too."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from gifd_bench.common.errors import UserError
from gifd_bench.common.registry import Registry
from gifd_bench.tasks.errors import TaskError


def portable(name: str) -> str:
    """A name that means the same on another machine: that of a file loses its folder."""
    module, colon, attribute = name.rpartition(":")
    return f"{Path(module).name}:{attribute}" if colon and module.endswith(".py") else name


def named_by_user(noun: Registry[Any], name: str, named: Collection[str]) -> str:
    """The user's own name for what somebody's file names; the name itself if it is a bundled one.

    The user's `nets/my_net.py:Net` allows an observation that says `my_net.py:Net` or `my_net:Net`, and the
    other way around. What is imported is always what the user named.

    Args:
        noun: the registry of such things.
        name: the name in the file, which is only compared.
        named: the names that the user has given.

    Raises:
        TaskError: the user has given no such name, or there is no such thing.
    """
    if noun.canonical(name) in noun.bundled:
        return name
    try:
        path = noun.path(name)
    except UserError as error:
        raise TaskError(str(error)) from error
    for own in named:
        if own == name or _module_and_name(own) == _module_and_name(path):
            return own
    raise TaskError(f"its {noun.noun} is '{name}', which would be imported; name it yourself to allow that")


def _module_and_name(path: str) -> tuple[str, str]:
    """The two parts of `folder/module.py:name`, `package.module:name` or `package.module.name`."""
    module, colon, name = path.rpartition(":")
    if not colon:
        module, _, name = path.rpartition(".")
    return Path(module).stem if module.endswith(".py") else module.rpartition(".")[2], name
