"""The contract of models: kept by those that are here, and broken in every way that it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from gifd_bench.benchmark.contract import models
from gifd_bench.benchmark.contract.models import CHECKS, ModelSubject
from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.tasks.models.registry import MODELS
from gifd_bench.tasks.models.spec import ModelSpec


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in sorted(MODELS.bundled)), ("timm", {"architecture": "test_vit"})],
)
def test_every_bundled_model_keeps_it(name: str, options: dict[str, Any]) -> None:
    for check in CHECKS:
        check(ModelSubject(ModelSpec(name, 7, 32, options)))


class Good(nn.Module):
    """One hidden layer; smooth, so that its gradient has a derivative everywhere."""

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(3 * image_size**2, 8)
        self.classifier = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Any:
        return self.classifier(self.hidden(x.flatten(1)).sigmoid())


class Maze(Good):
    def forward(self, x: Tensor) -> Any:
        return {"one": super().forward(x), "other": x}


class OneLogitMore(Good):
    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes + 1, image_size)


class NotFinite(Good):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x) / 0


class Unseeded(Good):
    drawn = 0

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size)
        type(self).drawn += 1
        with torch.no_grad():
            self.hidden.weight.mul_(self.drawn)


class Constant(Good):
    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.01)


class Unused(Good):
    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size)
        self.requires_grad_(False)
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Any:
        return super().forward(x).requires_grad_()


class Frozen(Good):
    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size)
        self.requires_grad_(False)


class InfiniteSlope(Good):
    def forward(self, x: Tensor) -> Any:
        return self.classifier((self.hidden(x.flatten(1)) * 0).abs().sqrt())


class OnlyOnce(Good):
    """Torch has no second derivative of its fused attention."""

    def forward(self, x: Tensor) -> Any:
        words = self.hidden(x.flatten(1)).view(-1, 1, 2, 4)
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return self.classifier(F.scaled_dot_product_attention(words, words, words).flatten(1))


class Deaf(Good):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x.detach() * 0 + x.sign())


class Counting(Good):
    runs: Tensor

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size)
        self.register_buffer("runs", torch.zeros(()))

    def forward(self, x: Tensor) -> Any:
        self.runs += 1
        return super().forward(x)


class Noisy(Good):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x + torch.randn_like(x))


class AlwaysTraining(Good):
    def train(self, mode: bool = True) -> AlwaysTraining:
        super().train(True)
        return self


@pytest.mark.parametrize(
    ("check", "wrong", "message"),
    [
        (models.gives_a_logit_for_every_class, Maze, r"a dict, not a tensor \(1, 5\)"),
        (models.gives_a_logit_for_every_class, OneLogitMore, r"\(1, 6\) .*, not \(1, 5\)"),
        (models.gives_a_logit_for_every_class, NotFinite, "not finite"),
        (models.draws_its_weights_from_the_seed_alone, Unseeded, "the same seed gives other weights"),
        (models.draws_its_weights_from_the_seed_alone, Constant, "another seed gives the same weights"),
        (models.has_a_gradient, Unused, "depends on no parameter that is trained"),
        (models.has_a_gradient, Frozen, "all of its parameters are frozen"),
        (models.has_a_gradient, InfiniteSlope, "'hidden.weight' is not finite"),
        (models.can_be_differentiated_twice, OnlyOnce, "cannot be differentiated"),
        (models.can_be_differentiated_twice, Deaf, "is zero or not finite"),
        (models.stays_as_it_is_in_evaluation_mode, Counting, "running it changes 'runs'"),
        (models.stays_as_it_is_in_evaluation_mode, Noisy, "other logits the second time"),
        (models.stays_as_it_is_in_evaluation_mode, AlwaysTraining, "in training mode"),
    ],
)
def test_whoever_breaks_it_is_told_how(
    check: Callable[[ModelSubject], None], wrong: type[nn.Module], message: str
) -> None:
    check(ModelSubject(ModelSpec(f"{__name__}:Good", 5, 8)))
    with pytest.raises(Broken, match=message) as error:
        check(ModelSubject(ModelSpec(f"{__name__}:{wrong.__name__}", 5, 8)))
    assert "\n" not in str(error.value)


def test_every_promise_is_listed_once_and_says_what_it_checks() -> None:
    assert len(set(CHECKS)) == len(CHECKS)
    assert all((check.__doc__ or "").strip().endswith(".") for check in CHECKS)
