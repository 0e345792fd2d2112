"""The names of defenses."""

from __future__ import annotations

import inspect
from pathlib import Path

from gifd_bench.tasks.defenses.base import Defense
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.errors import TaskError


def kind_of(defense: type[Defense]) -> str:
    """The kind of a defense: the name of a bundled one, or the class name of one from outside."""
    name = DEFENSES.canonical(_import_path(defense))
    return name if name in DEFENSES.bundled else defense.__name__


def name_of(defense: type[Defense]) -> str:
    """The name by which anybody can find a defense.

    This is the name of a bundled or installed one. For others it is the import path, or the path of the
    file from which the defense was loaded.

    Raises:
        TaskError: it is defined where it cannot be imported.
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
