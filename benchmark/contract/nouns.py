"""The noun to which a class or function from outside belongs."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.scoring.base import Metric
from gifd_bench.common.registry import load
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.defenses.base import Defense

BASES: dict[str, type] = {
    "attack": Attack,
    "prior": Prior,
    "dataset": Dataset,
    "defense": Defense,
    "metric": Metric,
    # Models come last, because attacks and priors are modules too.
    "model": nn.Module,
}


def noun_of(path: str) -> str:
    """The noun of `package.module:Name` or `file.py:Name`, which is imported for this.

    The base class of a class decides. A function makes a prior if its return type says so; it is a label
    rule if its only argument is an observation; otherwise it makes a model.

    Raises:
        UserError: it cannot be imported, or is neither a class of one of the nouns nor a function.
    """
    found = load(path if ":" in path else ":".join(path.rsplit(".", 1)))
    if isinstance(found, type):
        for noun, base in BASES.items():
            if issubclass(found, base):
                return noun
        raise BenchmarkError(
            f"{path}: a subclass of none of {', '.join(b.__name__ for b in BASES.values())}"
        )
    if not callable(found):
        raise BenchmarkError(f"{path}: neither a class nor a function")
    return _noun_of_function(found)


def _noun_of_function(function: Any) -> str:
    signature = inspect.signature(function)
    if _named(signature.return_annotation) == Prior.__name__:
        return "prior"
    if [_named(parameter.annotation) for parameter in signature.parameters.values()] == ["Observation"]:
        return "label rule"
    return "model"


def _named(annotation: Any) -> str:
    """The last word of a type, which may be given as text."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return text.rpartition(".")[2]
