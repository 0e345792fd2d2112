"""Generative priors by name, and everything that is known about a prior before it is made.

Importing this module does not import torch; making a bundled prior does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gifd_bench.common.registry import Registry
from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.base import PriorKind
from gifd_bench.priors.kinds.biggan import BIGGAN
from gifd_bench.priors.kinds.dcgan import DCGAN
from gifd_bench.priors.kinds.resnet import CIFAR10, GENERATOR_FILE
from gifd_bench.priors.kinds.stylegan2 import STYLEGAN2
from gifd_bench.priors.kinds.untrained import UNTRAINED

if TYPE_CHECKING:
    from gifd_bench.priors.base import Prior


class Priors(Registry["Callable[..., Prior]"]):
    """The registry of priors. A prior from outside is a subclass of `Prior`, or a function that makes one.

    Args:
        kinds: the bundled priors by name.
    """

    def __init__(self, kinds: Mapping[str, PriorKind]) -> None:
        factories = {name: kind.factory for name, kind in kinds.items()}
        super().__init__("prior", {name: f"{f.__module__}:{f.__name__}" for name, f in factories.items()})
        self.kinds = dict(kinds)

    def make(self, name: str, arguments: Mapping[str, Any]) -> Prior:
        """Make the prior behind a name, with these options.

        Raises:
            UserError: there is none, its files are missing or damaged, or what was made is not a prior.
        """
        from gifd_bench.priors.base import Prior

        made = super().make(name, arguments)
        if not isinstance(made, Prior):
            raise PriorError(f"{name}: makes a value of type {type(made).__name__}, not a Prior")
        for attribute, promised, text in _PROMISED:
            if not promised(getattr(made, attribute, None)):
                raise PriorError(f"{name}: its prior has no '{attribute}', which is {text}")
        return made

    def absent_files(self, name: str, arguments: Mapping[str, Any]) -> list[str]:
        """What is missing before a prior can be made, one line for each file; nothing is read.

        Args:
            name: the name of the prior; one from outside reports what it lacks only when it is made.
            arguments: its options; those left out have their defaults.
        """
        kind = self._kind(name)
        return kind.absent_files(_complete(kind, arguments)) if kind else []

    def are_fetched(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Whether the options of a prior ask for a download of files that are not here."""
        kind = self._kind(name)
        return kind.are_fetched(_complete(kind, arguments)) if kind else False

    def stage_names(self, name: str, arguments: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The names of a prior's stages, stage 0 first. A bundled prior is not made for this.

        Args:
            name: the name of the prior; one from outside is made and asked.
            arguments: its options; those left out have their defaults.

        Returns:
            The names; `None` if the files are not here, or their tensors would have to be read.

        Raises:
            UserError: the options or the files are wrong.
        """
        kind = self._kind(name)
        return kind.stage_names(_complete(kind, arguments)) if kind else self.make(name, arguments).stages

    def _kind(self, name: str) -> PriorKind | None:
        return self.kinds.get(self.canonical(name))


def _complete(kind: PriorKind, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a kind's factory; `None` for one that has no default and is not given."""
    parameters = inspect.signature(kind.factory).parameters.values()
    defaults = {p.name: None if p.default is inspect.Parameter.empty else p.default for p in parameters}
    return {**defaults, **arguments}


def _is_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(part, str) for part in value)


# What every prior has, how that is told, and what it should be.
_PROMISED: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("stages", lambda value: _is_texts(value) and len(value) > 0, "a tuple of names, stage 0 first"),
    ("image_size", lambda value: isinstance(value, int) and value > 0, "a number of pixels"),
    ("class_names", _is_texts, "a tuple of names, empty where there are no classes"),
)

PRIORS = Priors(
    {
        "biggan": BIGGAN,
        "cifar10": CIFAR10,
        "dcgan": DCGAN,
        "generator_file": GENERATOR_FILE,
        "stylegan2": STYLEGAN2,
        "untrained": UNTRAINED,
    }
)
