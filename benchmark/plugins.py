"""Attacks from elsewhere: installed packages, import paths, files."""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.common.errors import one_line

GROUP = "gifd_bench.attacks"


def is_path(name: str) -> bool:
    """Whether a name is an import path or a file, not a registered name."""
    return "." in name or ":" in name


def installed_attacks() -> dict[str, str]:
    """Import paths by the names under which packages register attacks (entry point group `GROUP`)."""
    return {point.name: point.value for point in entry_points(group=GROUP)}


def load_attack(path: str) -> type[Attack]:
    """An attack class by `package.module.Class`, `package.module:Class` or `file.py:Class`.

    Importing runs its code: only for paths that the user has named.

    Raises:
        BenchmarkError: there is no such module, file or class, or it is no Attack.
    """
    module, colon, name = path.rpartition(":")
    if not colon:
        module, _, name = path.rpartition(".")
    loaded = _file(Path(module), path) if module.endswith(".py") else _module(module, path)
    found: Any = getattr(loaded, name, None)
    if found is None:
        raise BenchmarkError(f"{path}: there is no '{name}' in {module}")
    if not (isinstance(found, type) and issubclass(found, Attack)):
        raise BenchmarkError(f"{path}: not a subclass of benchmark.attacks.Attack")
    return found


def _module(name: str, path: str) -> Any:
    try:
        return import_module(name)
    except Exception as error:  # Somebody else's code, which may fail in any way.
        raise BenchmarkError(
            f"{path}: cannot be imported ({type(error).__name__}: {one_line(error)})"
        ) from error


def _file(file: Path, path: str) -> Any:
    if not file.is_file():
        raise BenchmarkError(f"{path}: there is no file {file}")
    name = f"gifd_bench_attack_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Type hints are looked up in the module's own names.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # As above.
        raise BenchmarkError(
            f"{path}: cannot be imported ({type(error).__name__}: {one_line(error)})"
        ) from error
    return module
