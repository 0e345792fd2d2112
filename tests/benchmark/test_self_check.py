"""Observations that are described wrongly are told from right ones, and the cause is named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gifd_bench as gb
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.self_check import ObservationCheck, check_observation
from gifd_bench.tasks.observation import Observation
from tests.tasks.test_capture import MEAN, STD, Net

LABELS = torch.tensor([1, 3, 0])
LOCAL = gb.FedAvg(epochs=1, batch_size=1, learning_rate=0.1)


def images() -> Tensor:
    # Not symmetric in its channels, as photographs are not.
    pixels = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    return pixels * torch.tensor([1.0, 0.7, 0.4]).view(3, 1, 1)


def model(**options: Any) -> Net:
    torch.manual_seed(0)
    return Net(**options).eval()


def gradient(
    net: nn.Module, mean: float = 0.5, std: float = 0.25, loss: Callable[..., Tensor] = F.cross_entropy
) -> dict[str, Tensor]:
    net.zero_grad()
    loss(net((images() - mean) / std), LABELS).backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def trained(net: nn.Module, optimizer: str = "sgd", rate: float = 0.1, **options: Any) -> nn.Module:
    """Three local steps of one image each."""
    after = copy.deepcopy(net)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    steps = kinds[optimizer](after.parameters(), lr=rate, **options)
    for image, label in zip(images().split(1), LABELS.split(1), strict=True):
        steps.zero_grad()
        F.cross_entropy(after((image - 0.5) / 0.25), label).backward()
        steps.step()
    return after


def observe(net: nn.Module, update: Any, **changes: Any) -> Observation:
    described: dict[str, Any] = {"batch_size": 3, "image_size": 8, "mean": MEAN, "std": STD}
    return Observation.from_gradients(net, update, **{**described, **changes})


def of_round(before: nn.Module, after: nn.Module, local: gb.FedAvg | None, **client: Any) -> Observation:
    settings = None if local is None else gb.ClientSettings(local, **client)
    return Observation.from_round(
        before, after, batch_size=3, image_size=8, mean=MEAN, std=STD, client=settings
    )


def scaled(update: dict[str, Tensor], factor: float) -> dict[str, Tensor]:
    return {name: factor * value for name, value in update.items()}


def stepped(rate: float) -> tuple[nn.Module, dict[str, Tensor]]:
    net = model()
    update = gradient(net)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.sub_(rate * update[name])
    return net, update


def noisy(std: float) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        name: value + std * torch.randn(value.shape, generator=generator)
        for name, value in gradient(model()).items()
    }


def sparse() -> dict[str, Tensor]:
    return {n: v * (v.abs() >= v.abs().flatten().quantile(0.7)) for n, v in gradient(model()).items()}


def train_mode(**options: Any) -> Observation:
    net = model(**options).train()
    torch.manual_seed(5)
    return observe(net, gradient(net))


def forced(net: nn.Module, update: dict[str, Tensor]) -> Observation:
    """As if the sign had not been seen when it was made."""
    return replace(observe(net, gradient(net)), update=update)


WRONG: dict[str, tuple[Callable[[], Observation], str, str]] = {
    "opposite sign": (lambda: forced(model(), scaled(gradient(model()), -1)), "opposite sign", "against"),
    "a difference": (
        lambda: forced(model(), scaled(gradient(model()), -0.05)),
        "difference sent as a gradient",
        "learning rate 0.05",
    ),
    "an AMP scaler": (
        lambda: observe(model(), scaled(gradient(model()), 65536.0)),
        "constant factor",
        "mixed-precision scaler",
    ),
    "a sum": (
        lambda: observe(model(), scaled(gradient(model()), 3)),
        "constant factor",
        "summed over the 3",
    ),
    "a learning rate": (
        lambda: of_round(model(), trained(model(), rate=0.1), replace(LOCAL, learning_rate=0.025)),
        "constant factor",
        "learning_rate=0.09",
    ),
    "BatchNorm in train mode": (
        lambda: replace(train_mode(batch_norm=True), client=gb.ClientSettings()),
        "train mode",
        "BatchNorm",
    ),
    "dropout": (
        lambda: replace(train_mode(dropout=0.4), client=gb.ClientSettings()),
        "train mode",
        "dropout",
    ),
    "weights after the step": (lambda: observe(*stepped(0.5)), "weights after the step", "deep copy"),
    "weights after a small step": (lambda: observe(*stepped(0.1)), "weights after the step", "deep copy"),
    "momentum": (
        lambda: of_round(model(), trained(model(), momentum=0.9), LOCAL),
        "another optimizer",
        "momentum=0.9",
    ),
    "Adam": (
        lambda: of_round(model(), trained(model(), "adam", 0.01), LOCAL),
        "another optimizer",
        "adam",
    ),
    "epochs": (
        lambda: of_round(model(), trained(trained(model())), LOCAL),
        "other local training",
        "epochs=2",
    ),
    "noise": (lambda: observe(model(), noisy(0.02)), "undeclared defense", "noise"),
    "sparsification": (lambda: observe(model(), sparse()), "undeclared defense", "sparsification"),
    "sign": (
        lambda: observe(model(), {n: v.sign() for n, v in gradient(model()).items()}),
        "undeclared defense",
        "sign",
    ),
    "zero": (lambda: forced(model(), scaled(gradient(model()), 0)), "zero gradient", "zero_grad"),
    "normalization": (
        lambda: observe(model(), gradient(model(), 0.0, 1.0)),
        "preprocessing",
        "normalized otherwise, with none",
    ),
    "std": (lambda: observe(model(), gradient(model(), 0.5, 0.5)), "preprocessing", "std 0.5"),
    "label smoothing": (
        lambda: observe(model(), gradient(model(), loss=partial(F.cross_entropy, label_smoothing=0.1))),
        "another loss",
        "label_smoothing=0.1",
    ),
    "one layer zeroed": (
        lambda: observe(
            model(), {**gradient(model()), "body.0.bias": torch.ones(6), "head.bias": torch.ones(5)}
        ),
        "layers that differ",
        "body.0.bias",
    ),
    "another batch": (
        lambda: observe(model(), gradient(model(), 0.9, -0.3)),
        "unknown",
        "these the images",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_cause_of_a_wrong_description_is_named(case: str) -> None:
    make, cause, words = WRONG[case]
    found = check_observation(make(), images(), LABELS)
    assert (found.agrees, found.cause) == (False, cause), found.explanation
    assert words in found.explanation
    assert "\n" not in found.explanation


def smoothed(smoothing: float) -> Observation:
    update = gradient(model(), loss=partial(F.cross_entropy, label_smoothing=smoothing))
    settings = gb.ClientSettings(loss=gb.Loss(label_smoothing=smoothing))
    return observe(model(), update, client=settings)


def summed() -> Observation:
    update = gradient(model(), loss=partial(F.cross_entropy, reduction="sum"))
    return observe(model(), update, client=gb.ClientSettings(loss=gb.Loss(reduction="sum")))


RIGHT: dict[str, Callable[[], Observation]] = {
    "a gradient": lambda: observe(model(), gradient(model())),
    "in half precision": lambda: observe(model(), {n: v.half() for n, v in gradient(model()).items()}),
    "in bfloat16": lambda: observe(model(), {n: v.bfloat16() for n, v in gradient(model()).items()}),
    "a frozen part": lambda: observe(model(frozen=True), gradient(model(frozen=True))),
    "BatchNorm in train mode": lambda: train_mode(batch_norm=True),
    "dropout": lambda: train_mode(dropout=0.4),
    "local training": lambda: of_round(model(), trained(model()), LOCAL),
    "momentum": lambda: of_round(model(), trained(model(), momentum=0.9), replace(LOCAL, momentum=0.9)),
    "Adam": lambda: of_round(
        model(), trained(model(), "adam", 0.01), replace(LOCAL, optimizer="adam", learning_rate=0.01)
    ),
    "unknown local training": lambda: of_round(model(), trained(model()), None),
    "a sum": summed,
    "label smoothing": lambda: smoothed(0.1),
    "noise": lambda: observe(
        model(), noisy(0.02), defenses=[gb.KnownDefense("gaussian_noise", {"std": 0.02})]
    ),
    "sparsification": lambda: observe(
        model(), sparse(), defenses=[gb.KnownDefense("sparsification", None)]
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_description_is_left_alone(case: str) -> None:
    found = check_observation(RIGHT[case](), images(), LABELS)
    assert found.agrees, (found.cause, found.explanation)
    assert found.cause is None


def test_each_layer_is_compared() -> None:
    net = model()
    update = gradient(net)
    found = check_observation(
        observe(net, {**update, "head.bias": 2 * update["head.bias"]}), images(), LABELS
    )
    by_name = {layer.name: layer for layer in found.layers}
    assert list(by_name) == list(update)
    assert by_name["head.bias"].scale == pytest.approx(2, rel=1e-4)
    assert by_name["head.weight"].scale == pytest.approx(1, rel=1e-4)
    assert all(layer.cosine == pytest.approx(1, abs=1e-5) for layer in found.layers)


@pytest.mark.parametrize(
    ("wrong", "labels", "message"),
    [
        (torch.rand(2, 3, 8, 8), LABELS, "images of shape"),
        (255 * torch.rand(3, 3, 8, 8), LABELS, "before any normalization"),
        (torch.rand(3, 3, 8, 8), [1, 2], "3 labels"),
        (torch.rand(3, 3, 8, 8), [1, 2, 9], "below 5"),
    ],
)
def test_what_is_no_batch_of_it_is_refused(wrong: Tensor, labels: Any, message: str) -> None:
    net = model()
    with pytest.raises(BenchmarkError, match=message):
        check_observation(observe(net, gradient(net)), wrong, labels)


def test_the_observation_stays_as_it_is() -> None:
    observation = train_mode(batch_norm=True)
    before = {name: value.clone() for name, value in observation.victim().state_dict().items()}
    first: ObservationCheck = check_observation(observation, images(), LABELS)
    assert first == check_observation(observation, images().numpy(), LABELS.tolist())
    state = observation.victim().state_dict()
    assert all(torch.equal(value, state[name]) for name, value in before.items())
