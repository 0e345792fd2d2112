"""A tensor that is made without a device is noticed, in whose code soever."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gifd_bench.benchmark.contract.devices import DevicesNamed
from gifd_bench.benchmark.contract.metrics import MetricSubject
from gifd_bench.benchmark.contract.metrics import (
    names_the_device_of_every_tensor_that_it_makes as metric_does,
)
from gifd_bench.benchmark.contract.models import ModelSubject
from gifd_bench.benchmark.contract.models import (
    names_the_device_of_every_tensor_that_it_makes as model_does,
)
from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.benchmark.scoring.base import Metric
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation import Observation


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.zeros(3),
        lambda x: torch.ones((2, 2), dtype=torch.float64),
        lambda x: torch.tensor([1.0]),
        lambda x: torch.arange(3),
        lambda x: torch.full((), 2.0),
        lambda x: torch.linspace(0, 1, 3),
        lambda x: torch.eye(2),
        lambda x: torch.empty(1),
        lambda x: torch.as_tensor(1.0),
        lambda x: torch.randn(2),
    ],
)
def test_a_factory_without_a_device_is_broken(make: Callable[[Tensor], Tensor]) -> None:
    given = torch.zeros(1, device="cpu")
    with pytest.raises(Broken, match=r"in line test_devices.py:\d+ names no device"), DevicesNamed():
        make(given)


def test_a_device_a_generator_or_a_tensor_at_hand_is_enough() -> None:
    given, generator = torch.zeros(1), torch.Generator().manual_seed(0)
    with DevicesNamed():
        torch.zeros(3, device=given.device)
        torch.randn(3, generator=generator)
        torch.as_tensor(given)
        torch.zeros_like(given)
        given.new_tensor([1.0])
        # What a library does is the library's own affair: Adam counts its steps on the CPU.
        torch.optim.Adam([given.requires_grad_()]).step()


def test_an_error_in_the_block_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="negative"), DevicesNamed():
        torch.zeros(-1)


class Net(torch.nn.Module):
    """A victim that adds a constant on no device."""

    def __init__(self, num_classes: int = 10, image_size: int = 32) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3 * image_size**2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1)) + torch.ones(1)


class Distance(Metric):
    """A metric that weighs by a tensor on no device."""

    name = "distance"
    higher_is_better = False

    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        return (torch.tensor(2.0) * (images - truths)).square().flatten(1).mean(dim=1)


def test_code_from_outside_is_checked() -> None:
    with pytest.raises(Broken, match=r"torch\.ones"):
        model_does(ModelSubject(ModelSpec(f"{__file__}:Net", 10, 32)))
    with pytest.raises(Broken, match=r"torch\.tensor"):
        metric_does(MetricSubject(Distance))
