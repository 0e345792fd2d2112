"""Projections, against slow references and their own definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq

from gifd_bench.benchmark.inversion.projections import project_l1_ball
from gifd_bench.common.pixels import valid_pixels

points = arrays(np.float64, (2, 7), elements=st.floats(-10, 10, width=32))
radii = st.floats(0.01, 30)


def slow_projection(offset: np.ndarray, radius: float) -> np.ndarray:
    """One sample: soft-thresholding at the level, found by bisection, that meets the radius."""
    if np.abs(offset).sum() <= radius:
        return offset

    def excess(level: float) -> float:
        return float(np.maximum(np.abs(offset) - level, 0).sum() - radius)

    level = brentq(excess, 0, np.abs(offset).max(), xtol=1e-13)
    return np.sign(offset) * np.maximum(np.abs(offset) - level, 0)


@settings(max_examples=200)
@given(points, points, radii)
def test_l1_projection_equals_a_slow_reference(x: np.ndarray, center: np.ndarray, radius: float) -> None:
    found = project_l1_ball(torch.from_numpy(x), torch.from_numpy(center), radius).numpy()
    expected = [c + slow_projection(p - c, radius) for p, c in zip(x, center, strict=True)]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-9)


@settings(max_examples=100)
@given(points, points, radii)
def test_l1_projection_stays_in_the_ball_and_moves_no_further(
    x: np.ndarray, center: np.ndarray, radius: float
) -> None:
    point, middle = torch.from_numpy(x), torch.from_numpy(center)
    once = project_l1_ball(point, middle, radius)
    assert bool(((once - middle).abs().sum(dim=1) <= radius * (1 + 1e-9) + 1e-9).all())
    torch.testing.assert_close(project_l1_ball(once, middle, radius), once)


def test_l1_projection_is_per_sample_and_keeps_the_shape() -> None:
    center = torch.zeros(2, 3, 4, 4)
    point = torch.stack([torch.full((3, 4, 4), 0.01), torch.full((3, 4, 4), 1.0)])
    projected = project_l1_ball(point, center, radius=4.8)
    assert torch.equal(projected[0], point[0])
    torch.testing.assert_close(projected[1], torch.full((3, 4, 4), 0.1))


def test_what_is_not_finite_stays_so() -> None:
    assert bool(project_l1_ball(torch.full((1, 4), torch.nan), torch.zeros(1, 4), 1.0).isnan().all())


def test_valid_pixels_clamps_forward_and_not_backward() -> None:
    images = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5], requires_grad=True)
    valid = valid_pixels(images)
    assert valid.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    valid.sum().backward()
    assert images.grad is not None
    assert images.grad.tolist() == pytest.approx([1.0] * 5)
