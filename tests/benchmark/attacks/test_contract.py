"""What every registered attack promises: the checks of `gifd-bench check`, and a few of our own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.contract.attacks import (
    CHECKS,
    runs_under_every_defense,
    serves_every_client_or_says_why_not,
)
from gifd_bench.benchmark.contract.subject import AttackSubject
from gifd_bench.benchmark.invert import invert
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.priors.base import Prior
from gifd_bench.priors.generators.resnet import ResNetGenerator, ResNetPrior
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.threat_model import ThreatModel
from tests.rounds import make_round

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
    "gifd_released": {"iterations": 2, "restarts": 2},
    "gifd_plus": {"iterations": 2, "restarts": 2},
    "gifd_ood": {"iterations": 2, "starts": 2, "restarts": 2},
}

every_attack = pytest.mark.parametrize("name", sorted(ATTACKS))


def component(name: str, **more: Any) -> Component:
    return Component("attack", name, name, {**OPTIONS[name], **more})


def cases_of_the_contract() -> Iterator[Any]:
    """Every attack, check and number of restarts; the long checks are fast for two attacks alone."""
    for name, check, restarts in product(sorted(ATTACKS), CHECKS, (1, 3)):
        many_clients = check is serves_every_client_or_says_why_not and name not in ("ig", "latent")
        slow = restarts > 1 or check is runs_under_every_defense or many_clients
        marks = [pytest.mark.slow] if slow else []
        yield pytest.param(name, check, restarts, marks=marks, id=f"{check.__name__}-{restarts}-{name}")


@pytest.mark.parametrize(("name", "check", "restarts"), cases_of_the_contract())
def test_the_contract(
    name: str, check: Callable[[AttackSubject], None], restarts: int, tiny_prior: Prior, tmp_path: Path
) -> None:
    check(AttackSubject(component(name, restarts=restarts).build, tiny_prior, tmp_path))


@every_attack
def test_restarts_begin_at_different_points(
    name: str, observation: Observation, tiny_prior: Prior, tmp_path: Path
) -> None:
    curve = AttackSubject(component(name).build, tiny_prior, tmp_path).run(observation).curve
    first, second = curve.view(2, -1)[:, 0].tolist()
    assert first != second


@pytest.mark.slow
@every_attack
@pytest.mark.parametrize("stop", ["discrepancy", "held_out"])
def test_any_attack_may_stop_before_it_fits_the_noise(
    name: str, stop: str, observation: Observation, tiny_prior: Prior, tmp_path: Path
) -> None:
    subject = AttackSubject(component(name, stop=stop).build, tiny_prior, tmp_path)
    attack: Attack = subject.make()
    assert (attack.options.unmet(ThreatModel(), False) is None) == (stop == "held_out")
    assert attack.options.unmet(ThreatModel(defense="kind"), False) is None
    for check in CHECKS:
        if check.__name__ in (
            "counts_every_gradient_evaluation",
            "answers_with_images_and_exactly_their_matching_loss",
        ):
            check(subject)
    subject.interrupt(observation, tmp_path / "it.ckpt", 2)
    resumed = subject.resume(observation, tmp_path / "it.ckpt")
    assert resumed.matching_loss == subject.run(observation).matching_loss


@every_attack
@pytest.mark.parametrize("restarts", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_lane_is_what_its_restart_is_alone(
    name: str, restarts: int, tiny_generator: ResNetGenerator
) -> None:
    # In double precision: in single, a gradient that is zero but for rounding may have either sign, of
    # which Adam's first step makes a whole one.
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        prior = ResNetPrior(copy.deepcopy(tiny_generator)).double()
        observation = make_round(2)[0]
        of_five = {k: 5 for k in OPTIONS[name] if k.endswith("iterations")}
        found = [
            invert(
                component(name, **of_five, restarts=restarts, restarts_at_once=at_once).build(),
                observation,
                prior,
                0,
                accelerator="cpu",
            )
            for at_once in (None, 1)
        ]
    finally:
        torch.set_default_dtype(before)
    beside, alone = found
    torch.testing.assert_close(beside.curve, alone.curve, rtol=1e-5, atol=0)
    torch.testing.assert_close(beside.images, alone.images, rtol=0, atol=1e-5)
    assert beside.gradient_evaluations == alone.gradient_evaluations
