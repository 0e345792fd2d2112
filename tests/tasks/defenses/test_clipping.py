"""A bound on the norm, against arithmetic in plain Python."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.errors import TaskError
from tests.tasks.defenses.helpers import flat, generator, gradient_of, private_batch

NUMBERS = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)


@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=5), min_size=1, max_size=4), st.floats(0.01, 100))
def test_the_whole_update_is_scaled_down_to_the_bound_and_never_up(
    values: list[list[float]], bound: float
) -> None:
    update = {str(i): torch.tensor(v, dtype=torch.float64) for i, v in enumerate(values)}
    norm = math.sqrt(sum(x * x for v in values for x in v))
    sent = Clipping(bound).apply(update, private_batch(1), generator())
    for i, v in enumerate(values):
        expected = [x * bound / norm if norm > bound else x for x in v]
        assert sent[str(i)].tolist() == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_an_attacker_clips_to_the_observed_norm() -> None:
    batch = private_batch(1)
    clean = gradient_of(batch)
    bound = float(flat(clean).norm()) / 3
    observed = Clipping(bound).apply(clean, batch, generator())
    for options in (None, {"bound": bound}):
        imitation = Clipping.imitation(observed, options)
        torch.testing.assert_close(flat(imitation(tuple(clean.values()))), flat(observed))
        small = tuple(value / 100 for value in clean.values())
        assert torch.equal(flat(imitation(small)), flat(small))


def test_the_imitation_has_the_derivative_of_clipping() -> None:
    imitation = Clipping.imitation({}, {"bound": 2.0})
    for scale in (0.1, 3.0):
        candidate = [(scale * torch.randn(n, dtype=torch.float64, generator=generator(n))) for n in (3, 4)]
        inputs = tuple(value.requires_grad_() for value in candidate)
        assert torch.autograd.gradcheck(lambda *update: imitation(update), inputs)


@pytest.mark.parametrize("bound", [0.0, -4.0, math.nan, math.inf])
def test_a_bound_that_is_none_is_an_error(bound: float) -> None:
    with pytest.raises(TaskError, match=r"^clipping: bound must be a positive number, not \S+$"):
        Clipping(bound)
