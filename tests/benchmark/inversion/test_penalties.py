"""Penalties by hand, and how an attack adds them up."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.inversion.penalties import (
    GroupConsistency,
    ImageNorm,
    Iterate,
    Penalty,
    TotalVariation,
)
from gifd_bench.benchmark.inversion.search import Search
from gifd_bench.benchmark.invert import invert
from gifd_bench.tasks.observation import Observation
from tests.benchmark.attacks.references import recorded


def iterate(inputs: Tensor, step: int = 0) -> Iterate:
    return Iterate(inputs, inputs, Search({"inputs": inputs}), step)


def test_total_variation_by_hand() -> None:
    image = torch.tensor([[[[0.0, 1.0], [0.5, 0.25]]]])
    found = TotalVariation(1.0)(iterate(image[None]))
    assert found.tolist() == pytest.approx([(1 + 0.25) / 2 + (0.5 + 0.75) / 2])


def test_image_norm_by_hand() -> None:
    images = torch.stack([torch.full((3, 2, 2), 2.0), torch.zeros(3, 2, 2)])
    found = ImageNorm(1.0)(iterate(images[None]))
    assert found.tolist() == pytest.approx([math.sqrt(12 * 4) / 4 / 2])


def test_each_group_agrees_by_itself_from_its_step_on() -> None:
    groups = torch.tensor([0.0, 2.0, 10.0, 16.0]).view(4, 1, 1, 1, 1).expand(-1, -1, 3, 2, 2)
    penalty = GroupConsistency(1.0, "inputs", size=2, registration=0, start=3)
    assert penalty(iterate(groups, step=2)).tolist() == [0] * 4
    apart = math.sqrt(12) / 4
    assert penalty(iterate(groups, step=3)).tolist() == pytest.approx([apart, apart, 3 * apart, 3 * apart])


class Brightness(Penalty):
    """The mean of the images."""

    def __call__(self, iterate: Iterate) -> Tensor:
        assert self.weight, "nobody wants it"
        return iterate.images.flatten(1).mean(dim=1)


class Darker(IG):
    """IG that would rather have dark images."""

    weights = (0.0, 50.0, 50.0)

    def penalties(self) -> tuple[Penalty, ...]:
        return tuple(Brightness(weight) for weight in self.weights)


def test_an_attack_minimizes_the_weighted_sum_and_never_calls_a_term_of_weight_zero(
    observation: Observation,
) -> None:
    dark, plain = (
        float(recorded(kind(iterations=8), observation)[0].searched[-1]["inputs"].mean())
        for kind in (Darker, IG)
    )
    assert dark < plain - 0.1
    attack = Darker(iterations=1, restarts=2)
    invert(attack, observation, None, 0, accelerator="cpu")
    images = torch.rand(2, 1, 3, 32, 32)
    total = attack.penalty(images)
    assert isinstance(total, Tensor)
    torch.testing.assert_close(total, 100 * images.flatten(1).mean(dim=1))
