"""The weights of a prior that are outside of its package, and where the sandbox shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.common.errors import UserError
from gifd_bench.leaderboard.rerun.errors import RerunFailed

# What a folder of weights may show; whatever else lies there stays out of sight.
SUFFIXES = frozenset([".safetensors", ".bin", ".pt", ".pth", ".json"])


def move_weights(config: Mapping[str, Any], place: Path) -> tuple[dict[str, Any], dict[Path, Path]]:
    """A prior's configuration with its paths changed to paths below `place`.

    Args:
        config: the configuration, in the form of `Component.config`.
        place: a folder of the sandbox.

    Returns:
        The new configuration, and the files of this machine by their paths in the sandbox.

    Raises:
        RerunFailed: the configuration is wrong, or names a file that does not exist.
    """
    try:
        prior = Component.from_config("prior", config)
        arguments = prior.arguments()
    except (UserError, KeyError, TypeError) as error:
        raise RerunFailed(f"the prior's configuration is wrong: {error}") from error
    options, files = dict(prior.options), dict[Path, Path]()
    for option, value in arguments.items():
        if isinstance(value, Path):
            moved = place / option / value.name
            options[option] = str(moved)
            files |= {moved / path.relative_to(value): path.resolve() for path in _weights(value)}
    return {**prior.config(), "options": options}, files


def _weights(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in sorted(path.iterdir()) if file.is_file() and file.suffix in SUFFIXES]
    if not path.is_file():
        raise RerunFailed(f"the prior's weights are not there: {path}")
    return [path]
