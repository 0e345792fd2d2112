"""The contract of each kind of part: what it promises, as checks that run on any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.contract import attacks, datasets, defenses, label_rules, metrics, models, priors
from gifd_bench.benchmark.contract.subject import AttackSubject
from gifd_bench.benchmark.inversion.labels.rules import LABEL_RULES
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.models.spec import ModelSpec

# What a model of somebody's own is tested with.
CLASSES, SIZE = 10, 32


@dataclass(frozen=True)
class Promise:
    """One promise.

    Attributes:
        title: the promise in words.
        run: tests it on a component, with an empty folder, and raises `Broken` if it is not kept.
    """

    title: str
    run: Callable[[Component, Path], None]


def contract_of(noun: str) -> tuple[Promise, ...]:
    """All promises of a noun.

    Args:
        noun: a key of `SUBJECTS`.
    """
    checks, subject = SUBJECTS[noun]
    return tuple(_check(check, subject) for check in checks)


def _check(check: Callable[[Any], None], subject: Callable[[Component, Path], Any]) -> Promise:
    title = check.__name__.replace("_", " ")
    return Promise(title, lambda component, folder: check(subject(component, folder)))


def _attack(component: Component, folder: Path) -> AttackSubject:
    return AttackSubject(component.build, PRIORS.make("untrained", {}), folder)


def _model(component: Component, _: Path) -> models.ModelSubject:
    return models.ModelSubject(ModelSpec(component.name, CLASSES, SIZE, component.options))


# The checks of a noun, and what makes a component into their subject.
SUBJECTS: dict[str, tuple[tuple[Callable[[Any], None], ...], Callable[[Component, Path], Any]]] = {
    "attack": (attacks.CHECKS, _attack),
    "prior": (priors.CHECKS, lambda component, _: priors.PriorSubject(component.build)),
    "dataset": (datasets.CHECKS, lambda component, _: datasets.DatasetSubject(component.build)),
    "model": (models.CHECKS, _model),
    "defense": (defenses.CHECKS, lambda component, _: defenses.DefenseSubject(component.build)),
    "metric": (metrics.CHECKS, lambda component, _: metrics.MetricSubject(component.build)),
    "label rule": (label_rules.CHECKS, lambda component, _: LABEL_RULES.find(component.name)),
}
