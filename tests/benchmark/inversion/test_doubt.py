"""A matching loss that says nothing of safety is said to do so."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.inversion.reconstruction import doubt_about
from gifd_bench.benchmark.invert import invert
from tests.rounds import make_round


@pytest.mark.parametrize(
    ("loss", "curve", "words"),
    [
        (1.0, torch.ones(5), "the matching loss is 1"),
        (0.62, torch.linspace(0.65, 0.62, 100), "has not come down"),
        (0.01, torch.linspace(0.65, 0.01, 100), None),
        (0.62, torch.linspace(0.65, 0.62, 10), None),
        (0.5, torch.full((100,), torch.nan), None),
    ],
)
def test_what_the_curve_says(loss: float, curve: torch.Tensor, words: str | None) -> None:
    found = doubt_about(loss, curve)
    assert (found is None) == (words is None)
    if found is not None and words is not None:
        assert words in found
        assert "\n" not in found


def test_an_attack_on_a_zero_update_is_in_doubt_and_one_on_a_gradient_is_not() -> None:
    observation, _ = make_round(1, size=16)
    assert invert(IG(iterations=60), observation, None, 0, accelerator="cpu").doubt is None
    nothing = {name: torch.zeros_like(value) for name, value in observation.update.items()}
    zero = replace(observation, update=nothing)
    doubt = invert(IG(iterations=3), zero, None, 0, accelerator="cpu").doubt
    assert doubt is not None
    assert "described wrongly" in doubt
