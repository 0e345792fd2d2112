"""Attacks, priors, datasets and the like, by name; nothing is imported before it is needed.

Whatever is chosen by name in a configuration or on a command line can also come from outside the package:
by the name of an entry point of an installed package, by import path (`package.module:Class`), or by file
(`my_defense.py:MyDefense`). Importing runs somebody's code, so only names that the user gave are imported.
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
    """The code from outside behind a name, wherever its file is and whatever the file is called.

    Attributes:
        name: the name of the class or function in its module.
        sha256: the first 16 hexadecimal digits of the SHA-256 of the module's source.
    """

    name: str
    sha256: str


class Registry(Generic[T]):
    """Everything of one kind: what is bundled, what installed packages add, and whatever else a path names.

    Args:
        noun: the kind, in the singular, such as `attack`. Packages add to the entry point group
            `gifd_bench.attacks`.
        bundled: import paths (`package.module:name`) by name.
        promise: import path of the class of which everything from outside must be a subclass; `None` if a
            function will do as well.
        spellings: bundled names by other spellings of them; the bundled name is the one that is stored.
    """

    def __init__(
        self,
        noun: str,
        bundled: Mapping[str, str],
        promise: str | None = None,
        spellings: Mapping[str, str] | None = None,
    ) -> None:
        self.noun, self.bundled, self.promise = noun, dict(bundled), promise
        self.spellings = dict(spellings or {})

    @property
    def group(self) -> str:
        """The entry point group to which installed packages add."""
        return f"gifd_bench.{self.noun.replace(' ', '_')}s"

    def names(self) -> list[str]:
        """All names, sorted: those that are bundled, and those that installed packages add."""
        return sorted({*self.bundled, *self.installed()})

    def installed(self) -> dict[str, str]:
        """Import paths by the names that installed packages add."""
        return _installed(self.group)

    def __contains__(self, name: object) -> bool:
        return name in self.bundled or name in self.spellings or name in self.installed()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def canonical(self, name: str) -> str:
        """The name of a bundled part, even if its import path or another spelling was given.

        Any other name stays as it is.
        """
        return next(
            (known for known, path in self.bundled.items() if path == name), self.spellings.get(name, name)
        )

    def path(self, name: str) -> str:
        """The path behind a name: `package.module:name`, or `file.py:name`.

        Raises:
            UserError: the name is unknown and is not a path; the message suggests the nearest name.
        """
        known = self.bundled.get(self.spellings.get(name, name)) or self.installed().get(name)
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
        """The class or function behind a name, which is imported now.

        Raises:
            UserError: it does not exist, cannot be imported, or is of another kind.
        """
        path = self.path(name)
        found = load(path)
        if self.canonical(name) not in self.bundled:
            self._check(path, found)
        return found  # type: ignore[no-any-return]

    def signature(self, name: str) -> Callable[..., Any]:
        """The callable whose arguments, with types, defaults and docstring, are the options of a name.

        Raises:
            UserError: it does not exist, cannot be imported, or is of another kind.
        """
        return self.find(name)  # type: ignore[return-value]

    def make(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Make what a name stands for, with these options."""
        return self.signature(name)(**arguments)

    def code(self, name: str) -> Code | None:
        """The code from outside behind a name; `None` for a bundled part.

        Raises:
            UserError: it does not exist.
        """
        if self.canonical(name) in self.bundled:
            return None
        path = self.path(name)
        module, _, attribute = path.rpartition(":")
        return Code(attribute, _source_hash(module, path))

    def describe(self, name: str) -> str:
        """The first paragraph of the docstring, on one line; it is read from the source."""
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
    """Whether a name is an import path or a file, and not a registered name."""
    return "." in name or ":" in name


def unknown(noun: str, name: str, known: list[str]) -> str:
    """One line about an unknown name, with the nearest known names, or all of them."""
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"no {noun} '{name}'; did you mean {' or '.join(near)}?"
    return f"no {noun} '{name}'; there are: {', '.join(known) or 'none'}"


def load(path: str) -> Any:
    """Import the class or function of `package.module:name` or `file.py:name`.

    The working directory is searched first and, for a file, the folder of the file.

    Raises:
        UserError: the module, file or name does not exist, or its code fails when it is imported.
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
    """Let modules of a folder be found: before all others in the block, and after all others later."""
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
    """The docstring of the class or function at the top level of a module or file; empty without one."""
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
    """The file of a module; the module is not imported, but the packages above it are."""
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
