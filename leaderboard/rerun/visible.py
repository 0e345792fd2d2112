"""What the sandbox shows of this machine: what Python needs to start, and the packages that run an attack.

Everything is read-only. The home folder, the data folder, caches and everything beside these packages are
not shown, nor are, within what is shown, the photographs that are private images of the `photos` dataset.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gifd_bench.leaderboard.rerun.errors import RerunRefused
from gifd_bench.tasks.datasets.photos import PHOTOGRAPHS
from gifd_bench.tasks.datasets.root import VARIABLE

NAME = "gifd_bench"
ROOMS = ("benchmark", "common", "configs", "priors", "tasks")
SYSTEM = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
# Of each prefix of Python; `local` is where Debian's own Python has what pip installs.
OF_PREFIX = ("lib", "lib64", "local/lib", "pyvenv.cfg")
# Below a folder of installed packages: private images, and this project with its leaderboard.
HIDDEN = (*sorted({package.replace(".", "/") for _, package, _ in PHOTOGRAPHS}), NAME)


@dataclass(frozen=True)
class View:
    """The content of the sandbox.

    Attributes:
        links: targets of symbolic links, by path.
        files: files and folders of this machine, by their path in the sandbox.
        empty: folders among those that are shown as empty instead.
    """

    links: dict[Path, str]
    files: dict[Path, Path]
    empty: tuple[Path, ...]

    def arguments(self) -> list[str]:
        """The options of bubblewrap; an outer folder comes before what is in it."""
        found: list[str] = []
        for path in sorted(self.files, key=_depth):
            found += ["--ro-bind", str(self.files[path]), str(path)]
        for path in sorted(self.links, key=_depth):
            found += ["--symlink", self.links[path], str(path)]
        for path in sorted(self.empty, key=_depth):
            found += ["--tmpfs", str(path), "--remount-ro", str(path)]
        return found


def python_view(packages: Path) -> View:
    """The interpreter that runs this, its libraries, and this project's packages below `packages`."""
    links: dict[Path, str] = {}
    executable = Path(sys.executable)
    while executable.is_symlink():
        links[executable] = str(executable.readlink())
        executable = Path(os.path.normpath(executable.parent / executable.readlink()))
    prefixes = dict.fromkeys((Path(sys.prefix), Path(sys.base_prefix), executable.parent.parent))
    wanted = [Path(path) for path in SYSTEM]
    wanted += [prefix / name for prefix in prefixes for name in OF_PREFIX]
    files = {executable: executable}
    for path in wanted:
        # A link stays one: as a folder, `lib64` would be a second way into `lib`, with nothing hidden.
        if path.is_symlink():
            links[path] = str(path.readlink())
        elif path.exists():
            files[path] = path
    empty = tuple(_hidden([path for path in files if path.is_dir()]))
    return View(links, files | own_files(packages / NAME), empty)


def own_files(place: Path) -> dict[Path, Path]:
    """This project's files that an attack needs, by their paths below a folder of the sandbox.

    Raises:
        RerunRefused: one of them is not installed as a folder.
    """
    found = {place / "__init__.py": _source(NAME)}
    return found | {place / room: _source(f"{NAME}.{room}").parent for room in ROOMS}


def _source(package: str) -> Path:
    """The first file of a package; if an editable install links to it, the file itself."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise RerunRefused(f"rerun: package {package} is not installed as a folder")
    return Path(spec.origin).resolve()


def _hidden(folders: Iterable[Path]) -> Iterable[Path]:
    used = {Path(entry).resolve() for entry in sys.path if entry}
    data = os.environ.get(VARIABLE)
    for folder in folders:
        if data and Path(data).resolve().is_relative_to(folder.resolve()):
            yield folder / Path(data).resolve().relative_to(folder.resolve())
        # Debian calls them python3/dist-packages, all others python3.x/site-packages.
        for site in folder.glob("python*/*-packages"):
            if site.resolve() in used:
                yield from (site / name for name in HIDDEN if (site / name).is_dir())
            else:
                yield site


def _depth(path: Path) -> int:
    return len(path.parts)
