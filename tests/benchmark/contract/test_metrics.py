"""The contract of metrics: kept by those that are bundled, and able to tell what is wrong with others."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from gifd_bench.benchmark.contract import metrics as contract
from gifd_bench.benchmark.contract.metrics import CHECKS, MetricSubject
from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.benchmark.scoring.base import Metric
from gifd_bench.benchmark.scoring.registry import METRICS
from gifd_bench.tasks.observation import Observation


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(METRICS.bundled))
def test_bundled_metrics_keep_it(name: str, check: Callable[[MetricSubject], None]) -> None:
    assert METRICS.make(name, {}).name == name
    check(MetricSubject(lambda: METRICS.make(name, {})))


class Wrong(Metric):
    """Mean squared error with a fault that a test chooses."""

    name: ClassVar[str] = "wrong"
    higher_is_better: ClassVar[bool] = False

    def __init__(self, fault: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.fault = fault

    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        return self.fault(images, truths)


def mse(images: Tensor, truths: Tensor) -> Tensor:
    return (images - truths).square().flatten(1).mean(dim=1)


@pytest.mark.parametrize(
    ("fault", "check", "says"),
    [
        (lambda a, b: mse(a, b).mean(), contract.gives_a_finite_number_for_each_pair, "for 1 pairs"),
        (lambda a, b: mse(a, b).log(), contract.gives_a_finite_number_for_each_pair, "not finite"),
        (lambda a, b: -mse(a, b), contract.is_best_for_equal_images, "for equal images"),
        (
            lambda a, b: mse(a, b) * torch.arange(1, len(a) + 1),
            contract.judges_each_pair_by_itself,
            "another order",
        ),
        (lambda a, b: mse(a, b) / len(a), contract.judges_each_pair_by_itself, "alone"),
        (lambda a, b: mse(a.zero_(), b), contract.leaves_images_as_they_are, "changes the images"),
        (lambda a, b: mse(a, b) + torch.rand(()), contract.gives_the_same_value_again, "second time"),
    ],
)
def test_what_is_broken_is_told(
    fault: Callable[[Tensor, Tensor], Tensor], check: Callable[[MetricSubject], None], says: str
) -> None:
    with pytest.raises(Broken, match=says):
        check(MetricSubject(lambda: Wrong(fault)))


def test_a_name_that_is_no_column_is_told() -> None:
    class Nameless(Wrong):
        name: ClassVar[str] = "two words"

    with pytest.raises(Broken, match="two words"):
        contract.has_a_name_and_a_direction(MetricSubject(lambda: Nameless(mse)))
