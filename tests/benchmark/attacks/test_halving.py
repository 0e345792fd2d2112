"""Successive halving of restarts, against whole restarts whose curves say which would have been dropped."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.contract.subject import AttackSubject
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.halving import Halvings, best_of
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.invert import invert
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.priors.generators.resnet import ResNetPrior
from gifd_bench.tasks.observation import Observation

# Of several stages, of several members, of a population, with noise of its own, with weights searched.
OPTIONS: dict[str, dict[str, Any]] = {
    "ig": {"iterations": 16},
    "gi": {"iterations": 16, "group_size": 2, "langevin": 0.1},
    "gion": {"iterations": 8},
    "ggl": {"iterations": 16, "population": 4},
    "gias": {"latent_iterations": 8, "weight_iterations": 8, "starts": 2},
    "gifd": {"iterations": 4},
    "gifd_ood": {"iterations": 4, "starts": 2},
}


def attack(name: str, restarts: int, **more: Any) -> Attack:
    made: Attack = ATTACKS.make(name, {**OPTIONS[name], "restarts": restarts, **more})
    return made


def run(made: Attack, observation: Observation, prior: ResNetPrior, **more: Any) -> Reconstruction:
    return invert(made, observation, prior, 5, accelerator="cpu", **more)


def slowly_halved(curves: Tensor) -> Tensor:
    """Curves of whole restarts as they would be had the worse half been dropped after T/8, T/4 and T/2 for
    as many as eight restarts."""
    restarts, iterations = curves.shape
    left, part = list(range(restarts)), 2 ** math.ceil(math.log2(restarts))
    halved = curves.clone()
    while len(left) > 1:
        after = math.ceil(iterations / part)
        best = sorted(left, key=lambda r: min(curves[r, :after].tolist()))[: math.ceil(len(left) / 2)]
        for dropped in set(left) - set(best):
            halved[dropped, after:] = torch.nan
        left, part = best, part // 2
    return halved


@pytest.mark.slow
@pytest.mark.parametrize("restarts", [2, 5])
@pytest.mark.parametrize("name", OPTIONS)
def test_those_that_go_on_are_the_best_so_far_and_go_on_as_if_alone(
    name: str, restarts: int, observation: Observation, tiny_prior: ResNetPrior
) -> None:
    whole, halved = (
        run(attack(name, restarts, keep=keep), observation, tiny_prior) for keep in ("all", "halving")
    )
    expected = slowly_halved(whole.curve.view(restarts, -1)).flatten()
    # Sums of fewer lanes are rounded otherwise, and of a gradient that is almost zero the sign may flip.
    rtol = 2e-2 if name == "gion" else 1e-4
    torch.testing.assert_close(halved.curve, expected, rtol=rtol, atol=1e-6, equal_nan=True)
    assert int(torch.isnan(halved.curve).sum()) > 0
    options = attack(name, restarts, keep="halving").options
    assert halved.gradient_evaluations == options.total_evaluations(tiny_prior.stages)
    assert halved.gradient_evaluations < 0.9 * whole.gradient_evaluations
    assert halved.matching_loss <= float(halved.curve[~torch.isnan(halved.curve)].min()) * (1 + 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ig", "gi", "ggl", "gifd_ood"])
def test_it_goes_on_from_any_iteration_to_the_same_bytes(
    name: str, observation: Observation, tiny_prior: ResNetPrior, tmp_path: Path
) -> None:
    subject = AttackSubject(lambda: attack(name, 4, keep="halving"), tiny_prior, tmp_path)
    whole = subject.run(observation)
    first, second = Halvings.down_to_one(4, len(whole.curve) // 4).left
    for iteration in (first - 1, first, second, second + 1):
        path = tmp_path / f"{iteration}.ckpt"
        subject.interrupt(observation, path, iteration)
        resumed = subject.resume(observation, path)
        assert resumed.images.numpy().tobytes() == whole.images.numpy().tobytes()
        assert resumed.curve.numpy().tobytes() == whole.curve.numpy().tobytes()
        assert resumed.gradient_evaluations == whole.gradient_evaluations


@pytest.mark.slow
def test_each_group_of_restarts_that_run_at_once_is_halved_by_itself(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    made = attack("ig", 5, restarts_at_once=2, keep="halving")
    curves = run(made, observation, tiny_prior).curve.view(5, -1)
    lengths = [int((~torch.isnan(curve)).sum()) for curve in curves]
    assert [sorted(lengths[i : i + 2]) for i in (0, 2)] == [[8, 16], [8, 16]]
    assert lengths[4] == 16
    assert made.progress.gradient_evaluations == made.options.total_evaluations(())


@pytest.mark.parametrize(
    ("restarts", "iterations", "left"),
    [
        (1, 100, {}),
        (2, 100, {50: 1}),
        (8, 100, {13: 4, 25: 2, 50: 1}),
        (6, 80, {10: 3, 20: 2, 40: 1}),
        (8, 4, {1: 2, 2: 1}),
        (8, 1, {}),
    ],
)
def test_when_how_many_are_left(restarts: int, iterations: int, left: dict[int, int]) -> None:
    halvings = Halvings.down_to_one(restarts, iterations)
    assert halvings.left == left
    running = [
        min([restarts, *(count for after, count in left.items() if after <= i)]) for i in range(iterations)
    ]
    for begin, end in [(0, iterations), (iterations // 3, iterations), (0, iterations // 2)]:
        assert halvings.restart_iterations(begin, end) == sum(running[begin:end])
    assert halvings.at_the_end == running[-1]


def test_what_is_no_number_is_the_worst_and_of_equals_the_first_goes_on() -> None:
    assert best_of([math.nan, 2.0, math.inf, 1.0], 2) == [1, 3]
    assert best_of([math.nan, 2.0, math.inf, 1.0], 3) == [1, 2, 3]
    assert best_of([1.0, 1.0, 1.0], 2) == [0, 1]


@pytest.mark.parametrize(("name", "options"), [("ig", {}), ("dlg", {"restarts": 4})])
def test_halving_needs_restarts_side_by_side(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(BenchmarkError, match="side by side"):
        ATTACKS.make(name, {**options, "keep": "halving"})


def test_a_cell_keeps_its_id_unless_restarts_are_dropped() -> None:
    ids = {
        Component("attack", "ig", "ig", options).canonical
        for options in ({"restarts": 2}, {"restarts": 2, "keep": "all"})
    }
    assert len(ids) == 1
    assert Component("attack", "ig", "ig", {"restarts": 2, "keep": "halving"}).canonical not in ids
