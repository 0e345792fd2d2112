"""Second derivatives of ours, against finite differences; and every family of the two libraries."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.tasks.gradient import loss_gradient
from gifd_bench.tasks.models.check import check_model
from gifd_bench.tasks.models.second_derivatives import give_second_derivatives, hard_sigmoid
from gifd_bench.tasks.models.spec import ModelSpec

FAMILIES = Path(__file__).with_name("families.csv")


def test_hard_sigmoid_is_pytorchs_with_its_first_two_derivatives() -> None:
    # Away from the kinks at -3 and 3, where no finite difference says anything.
    points = torch.tensor([-4.0, -2.9, -1.0, 0.3, 2.9, 3.5], dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(hard_sigmoid(points), F.hardsigmoid(points))
    (own,) = torch.autograd.grad(hard_sigmoid(points).sum(), points)
    (theirs,) = torch.autograd.grad(F.hardsigmoid(points).sum(), points)
    torch.testing.assert_close(own, theirs)
    assert torch.autograd.gradcheck(hard_sigmoid, points)
    assert torch.autograd.gradgradcheck(lambda x: hard_sigmoid(x * x), points)


class Gated(nn.Module):
    """A gate by each way to call a hard sigmoid, and attention."""

    def __init__(self, gate: str) -> None:
        super().__init__()
        self.enter = nn.Linear(12, 8)
        gates: dict[str, Callable[[Tensor], Tensor]] = {
            "module": nn.Hardsigmoid(),
            "in place": nn.Hardsigmoid(inplace=True),
            "function": F.hardsigmoid,
            "swish": nn.Hardswish(),
            "attention": self._attend,
        }
        self.gate = gates[gate]
        self.leave = nn.Linear(8, 3)

    def _attend(self, x: Tensor) -> Tensor:
        words = x.view(-1, 1, 2, 4)
        return F.scaled_dot_product_attention(words, words, words).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        entered = self.enter(x.flatten(1))
        logits: Tensor = self.leave(entered * self.gate(entered.clone()))
        return logits


@pytest.mark.parametrize("gate", ["module", "in place", "function", "swish", "attention"])
def test_the_slope_of_a_gradient_is_that_of_finite_differences(gate: str) -> None:
    torch.manual_seed(0)
    model = Gated(gate).double().eval()
    inputs = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    labels = torch.tensor([0, 2])
    plain = loss_gradient(model, inputs, labels)
    give_second_derivatives(model, inputs)

    def energy(x: Tensor) -> Tensor:
        gradients = loss_gradient(model, x, labels, create_graph=True)
        return torch.stack([g.square().sum() for g in gradients]).sum()

    for own, theirs in zip(loss_gradient(model, inputs, labels), plain, strict=True):
        # PyTorch has the slope of 1/6 in single precision.
        torch.testing.assert_close(own, theirs, atol=1e-8, rtol=1e-6)
    x = inputs.clone().requires_grad_()
    (slope,) = torch.autograd.grad(energy(x), x)
    direction, step = torch.randn_like(inputs), 1e-5
    rise = (energy(inputs + step * direction) - energy(inputs - step * direction)) / (2 * step)
    assert float((slope * direction).sum()) == pytest.approx(float(rise.detach()), rel=1e-5)


def test_a_model_that_needs_nothing_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    give_second_derivatives(model, torch.zeros(1, 3, 2, 2))
    assert "forward" not in vars(model)
    model = nn.Sequential(nn.Flatten(), nn.Hardsigmoid(), nn.Linear(12, 3))
    give_second_derivatives(model, torch.zeros(1, 3, 2, 2))
    assert isinstance(vars(model)["forward"], partial)


@pytest.mark.parametrize(
    ("library", "architecture"),
    [("torchvision", "mobilenet_v3_small"), ("timm", "test_vit"), ("timm", "ghostnet_050")],
)
def test_what_had_no_second_derivative_has_one(library: str, architecture: str) -> None:
    check_model(ModelSpec(library, 5, 32, {"architecture": architecture}))


def families() -> list[list[str]]:
    lines = FAMILIES.read_text().splitlines()
    return [line.split(",", 4) for line in lines[1:]]


@pytest.mark.nightly
@pytest.mark.parametrize("row", families(), ids=lambda row: "-".join(row[:2]))
def test_the_smallest_classifier_of_every_family_can_be_attacked(row: list[str]) -> None:
    library, _, architecture, size, reason = row
    if not size:
        pytest.skip(reason)
    check_model(ModelSpec(library, 10, int(size), {"architecture": architecture}))
