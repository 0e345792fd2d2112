"""Configuration files: by path, or bundled by name."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.common.errors import one_line
from gifd_bench.common.files import read_bytes
from gifd_bench.common.registry import unknown
from gifd_bench.common.yaml_text import parse_yaml


def find_config(name: str) -> Path:
    """The path of a YAML file, given by path or by the name of a bundled configuration.

    Bundled names are for instance `demo` and `priors/cifar10`.

    Raises:
        BenchmarkError: neither exists.
    """
    path = Path(name)
    if path.is_file():
        return path
    bundled = Path(str(resources.files("gifd_bench.configs"))) / f"{name}.yaml"
    if re.fullmatch(r"[\w/-]+", name) and bundled.is_file():
        return bundled
    what = unknown("bundled configuration", name, bundled_configs())
    raise BenchmarkError(f"{name}: no such file, and {what}")


def bundled_configs() -> list[str]:
    """The names of the bundled matrices."""
    return sorted(
        Path(str(path)).stem for path in resources.files("gifd_bench.configs").iterdir() if _is_yaml(path)
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        BenchmarkError: it is not YAML, or not a mapping.
        FileError: it cannot be read.
    """
    text = read_bytes(path)
    try:
        content = parse_yaml(text.decode("utf-8"))
    except ValueError as error:
        raise BenchmarkError(f"{path}: not a readable YAML file ({one_line(error)})") from error
    if not isinstance(content, dict):
        raise BenchmarkError(f"{path}: a mapping is expected at the top")
    return content


def _is_yaml(path: Any) -> bool:
    return str(path).endswith(".yaml")
