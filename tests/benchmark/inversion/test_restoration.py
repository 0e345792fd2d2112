"""What is certain of labels, and the labels that a trained victim's update gives away under each loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.labels.evidence import certain_bounds
from gifd_bench.benchmark.inversion.labels.last_layer import LastLayer
from gifd_bench.benchmark.inversion.labels.responses import response_of
from gifd_bench.benchmark.inversion.labels.restoring import restoration
from gifd_bench.benchmark.inversion.labels.rules import infer_labels
from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.losses import Loss
from gifd_bench.tasks.observation import Observation

CLASSES, FEATURES = 6, 192


class Confident(nn.Module):
    """Knows its classes: some pixels of an image of class c are bright, and a ReLU cuts off the rest."""

    def __init__(self, num_classes: int = CLASSES) -> None:
        super().__init__()
        self.head = nn.Linear(FEATURES, num_classes)
        with torch.no_grad():
            self.head.weight.copy_(0.5 * patterns(num_classes))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head((x.flatten(1) - 1).relu())
        return logits


def patterns(classes: int = CLASSES) -> Tensor:
    return torch.randn(classes, FEATURES, generator=torch.Generator().manual_seed(0)) / 4


def observe(labels: list[int], loss: Loss | None = None, seed: int = 1) -> Observation:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.tensor(labels)
    pixels = patterns()[truth] + torch.randn(len(labels), FEATURES, generator=generator)
    model, settings = Confident(), ClientSettings(loss=loss or Loss())
    value = settings.loss.function()(model(pixels.view(-1, 3, 8, 8)), truth)
    return Observation.from_gradients(
        model,
        torch.autograd.grad(value, list(model.parameters())),
        batch_size=len(labels),
        image_size=8,
        client=settings,
    )


LOSSES = [
    Loss(),
    Loss(reduction="sum"),
    Loss(class_weights=(1, 4, 0.25, 1, 2, 0.5)),
    Loss(reduction="sum", class_weights=(1, 4, 0.25, 1, 2, 0.5)),
    Loss(label_smoothing=0.1),
    Loss("binary_cross_entropy"),
    Loss("binary_cross_entropy", reduction="sum", class_weights=(1, 4, 0.25, 1, 2, 0.5)),
]


def named(loss: Loss) -> str:
    return f"{loss.use}-{loss.reduction}-{loss.label_smoothing:g}-{loss.class_weights is not None}"


@pytest.mark.parametrize("loss", LOSSES, ids=named)
@pytest.mark.parametrize("labels", [[4], [0, 1, 2, 3, 4, 5], [0, 0, 3], [1, 2, 2, 2, 2, 5, 5, 5]])
def test_the_labels_of_a_trained_victim_are_found_under_every_loss(labels: list[int], loss: Loss) -> None:
    assert restoration(observe(labels, loss)).tolist() == labels


@pytest.mark.parametrize("loss", LOSSES, ids=named)
def test_the_bias_gradient_and_the_predictions_of_each_class_say_how_often_it_occurs(loss: Loss) -> None:
    labels = torch.tensor([0] * 10 + [1] * 3 + [3] * 20 + [4] * 7)
    logits = 2 * torch.randn(CLASSES, CLASSES, generator=torch.Generator().manual_seed(0)).double()
    bias = torch.zeros(CLASSES, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss.function()(logits[labels] + bias, labels), bias)
    response = response_of(loss, CLASSES)
    counts = torch.bincount(labels, minlength=CLASSES).double()
    images = len(labels) if loss.reduction == "sum" else 1
    said = response.wanted(gradient / images, response.probabilities(logits), counts)
    assert torch.allclose(said, counts, atol=1e-4)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (Loss("torch.nn.functional:cross_entropy"), "the loss 'torch.nn.functional:cross_entropy'"),
        (Loss(class_weights=(1,) * CLASSES, label_smoothing=0.1), "class weights with label smoothing"),
    ],
)
def test_losses_that_are_not_known_are_refused_but_for_a_single_image(loss: Loss, message: str) -> None:
    assert infer_labels(observe([3], loss), "restoration").tolist() == [3]
    with pytest.raises(BenchmarkError, match=f"restoration does not know {message}; grant the labels"):
        infer_labels(observe([0, 1], loss), "restoration")


def layer(gradient: Tensor, features: Tensor | None = None) -> LastLayer:
    classes, count = gradient.shape
    looked_up = torch.rand(4, count, dtype=torch.float64) if features is None else features
    weight = torch.zeros(classes, count, dtype=torch.float64)
    return LastLayer(weight, None, gradient.double(), None, looked_up)


def test_signs_and_parallel_columns_by_hand() -> None:
    # Two images of class 1, and one of class 0 that has no feature of its own.
    pulls = torch.tensor([[0.2, -0.9, 0.7], [0.3, -0.5, 0.2], [-0.8, 0.1, 0.7]]).double()
    features = torch.tensor([[1, 2, 0, 0, 1, 0], [0, 0, 3, 1, 1, 4], [0, 0, 0, 0, 9, 9]]).double()
    bounds = certain_bounds(layer(pulls.t() @ features), 3, noise=0.0)
    assert bounds.least.tolist() == [1, 2, 0]
    assert bounds.most.tolist() == [3, 3, 0]


def test_nothing_is_certain_of_noise_of_negative_features_and_of_nothing() -> None:
    noise = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    for gradient, features, batch_size in (
        (noise, None, 4),
        (noise, torch.full((4, 40), -1.0), 8),
        (torch.zeros(5, 40), None, 4),
    ):
        bounds = certain_bounds(layer(gradient, features), batch_size, noise=0.0)
        assert bounds.least.tolist() == [0] * 5
        assert bounds.most.tolist() == [batch_size] * 5
