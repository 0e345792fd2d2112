"""The names by which defenses are found."""

from __future__ import annotations

import inspect
from pathlib import Path

from gifd_bench.tasks.defenses.base import Defense
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.errors import TaskError


def kind_of(defense: type[Defense]) -> str:
    """What a defense is, wherever it comes from: the name of a bundled one, the class name of another."""
    name = DEFENSES.canonical(_import_path(defense))
    return name if name in DEFENSES.bundled else defense.__name__


def name_of(defense: type[Defense]) -> str:
    """The name by which anybody finds a defense: the name of a bundled or installed one; else its import
    path, or the whole path of its file where it was loaded from a file.

    Raises:
        TaskError: it is defined where it cannot be imported from.
    """
    path = _import_path(defense)
    for known in (DEFENSES.bundled, DEFENSES.installed()):
        for name, known_path in known.items():
            if known_path == path:
                return name
    if "<locals>" in path or defense.__module__ == "__main__":
        raise TaskError(
            f"defense {defense.__name__} is defined where nobody can import it from, so that no attacker "
            "could know of it: define it at the top of a module"
        )
    file = Path(inspect.getfile(defense))
    if file.stem in (defense.__module__.rpartition(".")[2], "__init__"):
        return path
    # The registry loads a file under a module name of its own.
    return f"{file}:{defense.__qualname__}"


def _import_path(defense: type[Defense]) -> str:
    return f"{defense.__module__}:{defense.__qualname__}"
