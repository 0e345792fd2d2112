"""Which files a prior's weights are in, and whether they are here; nothing is read or fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gifd_bench.priors.bundled import WEIGHTS
from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.hub import Source
from gifd_bench.priors.published import BIGGAN_CONFIG, BIGGAN_WEIGHTS


def absent_files(prior: str, arguments: Mapping[str, Any]) -> list[str]:
    """What is missing before a prior can be made, a line for each file.

    Args:
        prior: its registered name.
        arguments: all that it is to be called with.
    """
    return list(_ABSENT[prior](arguments)) if prior in _ABSENT else []


def are_fetched(arguments: Mapping[str, Any]) -> bool:
    """Whether files that are not here are fetched when the prior is made, as its arguments ask for."""
    asked = arguments.get("download") and arguments.get("repository") and arguments.get("revision")
    return bool(asked) and arguments.get("weights") is None


def _biggan(arguments: Mapping[str, Any]) -> Iterator[str]:
    return _from_source(arguments, [BIGGAN_CONFIG, BIGGAN_WEIGHTS])


def _stylegan2(arguments: Mapping[str, Any]) -> Iterator[str]:
    if arguments.get("weights") is not None:
        return _own_file(arguments)
    if arguments.get("repository") is None:
        return iter(["no weights: give a file with the g_ema state dict, or a repository and a revision"])
    return _from_source(arguments, [(str(arguments["filename"]),)])


def _own_file(arguments: Mapping[str, Any]) -> Iterator[str]:
    weights = arguments.get("weights")
    if weights is None:
        yield "no weights: give a file with the generator's state dict"
    elif not Path(weights).is_file():
        yield f"{weights}: no such weights file"


def _from_source(arguments: Mapping[str, Any], wanted: Sequence[Sequence[str]]) -> Iterator[str]:
    folder = arguments.get("weights")
    source = Source(
        None if folder is None else Path(folder), arguments.get("repository"), arguments.get("revision")
    )
    for names in wanted:
        try:
            source.file(*names)
        except PriorError as error:
            yield str(error)


_ABSENT: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "biggan": _biggan,
    "cifar10": lambda _: _own_file({"weights": WEIGHTS / "cifar10.safetensors"}),
    "dcgan": _own_file,
    "generator_file": _own_file,
    "stylegan2": _stylegan2,
}
