"""Soteria, against the per-feature loop of its paper."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from gifd_bench.tasks.defenses.base import PrivateBatch
from gifd_bench.tasks.defenses.soteria import Soteria
from gifd_bench.tasks.errors import TaskError
from tests.tasks.defenses.helpers import flat, generator, gradient_of, private_batch


def slow_scores(batch: PrivateBatch, features: nn.Module) -> list[float]:
    """One backward pass a feature and image."""
    scores = []
    for i in range(features(batch.inputs).shape[1]):
        score = 0.0
        for image in batch.inputs:
            x = image[None].clone().requires_grad_()
            r = features(x)[0, i]
            (gradient,) = torch.autograd.grad(r, x)
            score += float(gradient.norm()) / (abs(float(r.detach())) + 1e-10)
        scores.append(score)
    return scores


@pytest.mark.parametrize("sparsity", [0.2, 0.8, 0.95])
@pytest.mark.parametrize("width", [1, 2])
def test_the_columns_of_the_features_that_score_least_are_zeroed(sparsity: float, width: int) -> None:
    batch = private_batch(2, width=width)  # 128 or 256 features: more than one vectorized pass
    features = batch.model.features
    assert isinstance(features, nn.Module)
    clean = gradient_of(batch)
    sent = Soteria(sparsity).apply(clean, batch, generator())
    scores = slow_scores(batch, features)
    count = math.floor(sparsity * len(scores))
    order = sorted(range(len(scores)), key=lambda i: (scores[i], i))
    # A difference in the last digit must not swap two features; those that are not active are equal.
    kept, left_out = scores[order[count]], scores[order[count - 1]]
    assert kept == left_out == 0 or kept - left_out > 1e-5 * kept
    expected = clean["classifier.weight"].clone()
    expected[:, order[:count]] = 0
    assert torch.equal(sent["classifier.weight"], expected)
    assert all(torch.equal(sent[name], clean[name]) for name in clean if name != "classifier.weight")


def test_in_a_training_the_scores_are_estimated_and_most_columns_are_the_same() -> None:
    batch = private_batch(8, width=2)
    clean = gradient_of(batch)
    kept = [
        (Soteria(0.8).apply(clean, one, generator())["classifier.weight"] != 0).any(dim=0)
        for one in (batch, replace(batch, estimate=True), replace(batch, estimate=True))
    ]
    assert torch.equal(kept[1], kept[2])
    assert int(kept[1].sum()) == int(kept[0].sum()) == 52
    assert int((kept[0] & kept[1]).sum()) >= 42


class Unordered(nn.Module):
    """The layer with the logits is defined first, is no attribute of the model, and a head follows it that
    has another number of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"out": nn.Linear(6, 10), "in": nn.Linear(3 * 32 * 32, 6)})
        self.unused = nn.Linear(6, 10)
        self.auxiliary = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        r = torch.tanh(self.parts["in"](x.flatten(1)))
        logits: Tensor = self.parts["out"](r)
        return logits + 0 * self.auxiliary(r).sum() + 0 * self.unused.weight.sum()


def test_the_last_layer_is_the_last_that_runs_with_an_output_a_class() -> None:
    batch = private_batch(2, Unordered())
    update = {name: torch.ones_like(p) for name, p in batch.model.named_parameters()}
    sent = Soteria(0.5).apply(update, batch, generator())
    changed = {name for name in update if not torch.equal(sent[name], update[name])}
    assert changed == {"parts.out.weight"}
    assert int((sent["parts.out.weight"] == 0).all(dim=0).sum()) == 3


def test_batch_norm_in_training_mode_is_left_as_it_was() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 8, stride=8), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)
    ).train()
    batch = private_batch(2, model)
    clean = gradient_of(batch)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    Soteria().apply(clean, batch, generator())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_model_without_a_linear_layer_is_an_error() -> None:
    model = nn.Sequential(nn.Conv2d(3, 10, 32), nn.Flatten())
    batch = private_batch(1, model)
    with pytest.raises(TaskError, match="no linear layer with an output for each of its 10 classes"):
        Soteria().apply(gradient_of(batch), batch, generator())
    with pytest.raises(TaskError, match="without a linear layer"):
        Soteria.imitation(gradient_of(batch), None)


def test_a_last_layer_that_sees_several_vectors_an_image_is_an_error() -> None:
    model = nn.Sequential(nn.Flatten(2), nn.Linear(1024, 10), nn.AdaptiveAvgPool2d((1, 10)), nn.Flatten())
    batch = private_batch(1, model)
    with pytest.raises(TaskError, match="not one vector for each image"):
        Soteria().apply(gradient_of(batch), batch, generator())


def test_an_attacker_zeroes_the_columns_that_are_zero_in_every_row() -> None:
    observed = {
        "early": torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]),
        "last": torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 0.0]]),
        "bias": torch.tensor([0.0, 1.0]),
    }
    imitated = Soteria.imitation(observed, None)(tuple(torch.ones_like(v) for v in observed.values()))
    assert flat(imitated).tolist() == [1, 1, 1, 1, 1, 1, *[1, 0, 1], *[1, 0, 1], 1, 1]


@pytest.mark.parametrize("sparsity", [0.0, 1.0, math.nan])
def test_a_sparsity_of_all_or_nothing_is_an_error(sparsity: float) -> None:
    with pytest.raises(TaskError, match=r"^soteria: sparsity must be above 0 and below 1"):
        Soteria(sparsity)
