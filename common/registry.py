"""What there is of each noun, by name; nothing of it is imported before it is needed.

Whatever is chosen by name in a configuration or on a command line can also come from outside: by the name
of an entry point of an installed package, by import path (`package.module:Class`), or by file
(`my_defense.py:MyDefense`). Importing runs somebody's code: only names that the user gave are imported.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Generic, TypeVar

from gifd_bench.common.errors import UserError, one_line

T = TypeVar("T")
_NOT_FOUND = "it is neither in this folder nor installed"


@dataclass(frozen=True)
class Code:
    """Which code from outside a name stands for, wherever it lies and whatever it is called there.

    Attributes:
        name: of the class or function in its module.
        sha256: of the module's source, the first 16 hexadecimal digits.
    """

    name: str
    sha256: str


class Registry(Generic[T]):
    """One noun: what is bundled, what installed packages add, and whatever else a path names.

    Args:
        noun: in the singular, such as `attack`; packages add to the entry point group `gifd_bench.attacks`.
        bundled: import path (`package.module:name`) by name.
        promise: import path of the class that everything from outside is a subclass of; `None` where a
            function will do as well.
    """

    def __init__(self, noun: str, bundled: Mapping[str, str], promise: str | None = None) -> None:
        self.noun, self.bundled, self.promise = noun, dict(bundled), promise

    @property
    def group(self) -> str:
        """The entry point group that installed packages add to."""
        return f"gifd_bench.{self.noun.replace(' ', '_')}s"

    def names(self) -> list[str]:
        """All names, sorted: those that are bundled, and those that installed packages add."""
        return sorted({*self.bundled, *self.installed()})

    def installed(self) -> dict[str, str]:
        """Import paths by the names that installed packages add."""
        return _installed(self.group)

    def __contains__(self, name: object) -> bool:
        return name in self.bundled or name in self.installed()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def canonical(self, name: str) -> str:
        """The bundled name of what is bundled, even where its import path was given; else the name."""
        return next((known for known, path in self.bundled.items() if path == name), name)

    def path(self, name: str) -> str:
        """The path behind a name: `package.module:name`, or `file.py:name`.

        Raises:
            UserError: the name is not known and is no path; the message names the nearest.
        """
        known = self.bundled.get(name) or self.installed().get(name)
        if known is not None:
            return known
        if not is_path(name):
            raise UserError(unknown(self.noun, name, self.names()))
        module, colon, attribute = name.rpartition(":")
        if colon:
            return name
        module, _, attribute = name.rpartition(".")
        return f"{module}:{attribute}"

    def find(self, name: str) -> T:
        """The class or function behind a name; it is imported now.

        Raises:
            UserError: there is none, it cannot be imported, or it is not of this noun.
        """
        path = self.path(name)
        found = load(path)
        if name not in self.bundled:
            self._check(path, found)
        return found  # type: ignore[no-any-return]

    def signature(self, name: str) -> Callable[..., Any]:
        """What has the options of a name as its arguments, with types, defaults and a docstring.

        Raises:
            UserError: as `find`.
        """
        return self.find(name)  # type: ignore[return-value]

    def make(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What a name stands for, made with these options."""
        return self.signature(name)(**arguments)

    def code(self, name: str) -> Code | None:
        """Which code from outside a name stands for; `None` for what is bundled.

        Raises:
            UserError: there is none.
        """
        if self.canonical(name) in self.bundled:
            return None
        path = self.path(name)
        module, _, attribute = path.rpartition(":")
        return Code(attribute, _source_hash(module, path))

    def describe(self, name: str) -> str:
        """The first paragraph of its docstring, on one line; it is read from the source, not imported."""
        text = _docstring(self.described(name))
        return " ".join(text.split("\n\n")[0].split())

    def described(self, name: str) -> str:
        """The path of the class or function whose docstring describes a name."""
        return self.path(name)

    def _check(self, path: str, found: Any) -> None:
        if self.promise is None:
            if not callable(found):
                raise UserError(f"{path}: neither a class nor a function")
            return
        base = load(self.promise)
        if not (isinstance(found, type) and issubclass(found, base)):
            public = f"gifd_bench.{base.__name__}"
            raise UserError(f"{path}: no {self.noun}, which is a subclass of {public}")


def is_path(name: str) -> bool:
    """Whether a name is an import path or a file, and no registered name."""
    return "." in name or ":" in name


def unknown(noun: str, name: str, known: list[str]) -> str:
    """One line about a name that is not known: the nearest ones, or all."""
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"no {noun} '{name}'; did you mean {' or '.join(near)}?"
    return f"no {noun} '{name}'; there are: {', '.join(known) or 'none'}"


def load(path: str) -> Any:
    """The class or function of `package.module:name` or `file.py:name`.

    The working directory is looked in first, and for a file the file's own folder.

    Raises:
        UserError: there is no such module, file or name, or its code fails when it is imported.
    """
    module, _, attribute = path.rpartition(":")
    loaded = _file(Path(module), path) if module.endswith(".py") else _module(module, path)
    found: Any = loaded
    for part in attribute.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise UserError(f"{path}: there is no '{attribute}' in {module}")
    return found


@cache
def _installed(group: str) -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=group)}


def _module(name: str, path: str) -> Any:
    try:
        if name in sys.modules or name.startswith("gifd_bench."):
            return import_module(name)
        with _found_first(Path.cwd()):
            return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and name.startswith(error.name):
            raise UserError(f"{path}: there is no module '{error.name}': {_NOT_FOUND}") from error
        raise _broken(path, error) from error
    except Exception as error:  # Somebody else's code, which may fail in any way.
        raise _broken(path, error) from error


def _file(file: Path, path: str) -> Any:
    if not file.is_file():
        raise UserError(f"{path}: there is no file {file}")
    # The same file is the same module, however it was named; two files of one name are two.
    name = f"gifd_bench_file_{file.stem}_{sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: {file} is no Python file")
    module = module_from_spec(spec)
    # Type hints are looked up in the module's own names.
    sys.modules[name] = module
    try:
        with _found_first(file.resolve().parent):
            spec.loader.exec_module(module)
    except Exception as error:  # As above.
        del sys.modules[name]
        raise _broken(path, error) from error
    return module


def _broken(path: str, error: Exception) -> UserError:
    return UserError(f"{path}: cannot be imported ({type(error).__name__}: {one_line(error)})")


@contextmanager
def _found_first(folder: Path) -> Iterator[None]:
    """Let modules of a folder be found: before all others in the block, after all others from then on."""
    place = str(folder)
    sys.path.insert(0, place)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(place)
        if place not in sys.path:
            sys.path.append(place)


def _docstring(path: str) -> str:
    """Of the class or function at the top of a module or file; empty where it has none."""
    module, _, attribute = path.rpartition(":")
    for node in ast.parse(_source(module, path).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == attribute:
            return ast.get_docstring(node) or ""
    # It is made elsewhere, and only named here.
    return inspect.getdoc(load(path)) or ""


def _source_hash(module: str, path: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the source of a module or file."""
    return sha256(_source(module, path).read_bytes()).hexdigest()[:16]


def _source(module: str, path: str) -> Path:
    """The file of a module, which is not imported for that (but the packages above it are)."""
    if module.endswith(".py"):
        source = Path(module)
        if not source.is_file():
            raise UserError(f"{path}: there is no file {module}")
    else:
        try:
            with _found_first(Path.cwd()):
                spec = find_spec(module)
        except Exception as error:
            raise _broken(path, error) from error
        if spec is None or spec.origin is None or not Path(spec.origin).is_file():
            raise UserError(
                f"{path}: there is no module '{module}': it is neither in this folder nor installed"
            )
        source = Path(spec.origin)
    return source
