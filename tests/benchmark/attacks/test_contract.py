"""What every registered attack promises: the checks of `gifd-bench check`, and a few of our own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.contract.attacks import CHECKS
from gifd_bench.benchmark.contract.subject import Subject
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.threat_model import ThreatModel
from tests.conftest import make_round

# Small enough to run in a moment, with more than one restart.
OPTIONS: dict[str, dict[str, Any]] = {
    "dlg": {"iterations": 2, "evaluations": 2, "restarts": 2},
    "idlg": {"iterations": 2, "evaluations": 2, "restarts": 2},
    "ig": {"iterations": 4, "restarts": 2},
    "gi": {"iterations": 4, "group_size": 2, "restarts": 2},
    "ggl": {"iterations": 3, "population": 5, "restarts": 2},
    "gias": {"latent_iterations": 2, "weight_iterations": 3, "starts": 2, "restarts": 2},
    "gion": {"iterations": 4, "restarts": 2},
    "latent": {"iterations": 4, "restarts": 2},
    "gifd": {"iterations": 2, "restarts": 2},
    "gifd_ood": {"iterations": 2, "starts": 2, "restarts": 2},
}

every_attack = pytest.mark.parametrize("name", sorted(ATTACKS))


def component(name: str, **more: Any) -> Component:
    return Component("attack", name, name, {**OPTIONS[name], **more})


@every_attack
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_contract(
    name: str, check: Callable[[Subject], None], tiny_prior: Prior, tmp_path: Path
) -> None:
    check(Subject(component(name).build, tiny_prior, tmp_path))


@every_attack
def test_restarts_begin_at_different_points(name: str, tiny_prior: Prior, tmp_path: Path) -> None:
    curve = Subject(component(name).build, tiny_prior, tmp_path).run(make_round()[0]).curve
    first, second = curve.view(2, -1)[:, 0].tolist()
    assert first != second


@every_attack
@pytest.mark.parametrize("stop", ["discrepancy", "held_out"])
def test_any_attack_may_stop_before_it_fits_the_noise(
    name: str, stop: str, tiny_prior: Prior, tmp_path: Path
) -> None:
    subject = Subject(component(name, stop=stop).build, tiny_prior, tmp_path)
    attack: Attack = subject.make()
    assert (attack.options.unmet(ThreatModel(), False) is None) == (stop == "held_out")
    assert attack.options.unmet(ThreatModel(defense="kind"), False) is None
    for check in CHECKS:
        if check.__name__ in (
            "counts_every_gradient_evaluation",
            "answers_with_images_and_exactly_their_matching_loss",
        ):
            check(subject)
    subject.interrupt(make_round()[0], tmp_path / "it.ckpt", 2)
    resumed = subject.resume(make_round()[0], tmp_path / "it.ckpt")
    assert resumed.matching_loss == subject.run(make_round()[0]).matching_loss
