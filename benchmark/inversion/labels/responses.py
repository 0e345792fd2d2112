"""How the gradient in the last biases depends on how often each class occurs, for the bundled losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.tasks.losses import LOSSES, Loss


class Response(ABC):
    """The response of one loss, for C classes and B images, of which n_c are of class c."""

    # Whether only the true class's entry of an image's gradient in the logits is negative.
    one_negative_entry = True
    # Whether those entries sum to zero over the classes, so that noise shows.
    sums_to_zero = True

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """What the victim predicts: (..., C), from logits (..., C)."""

    @abstractmethod
    def wanted(self, gradient: Tensor, predictions: Tensor, counts: Tensor) -> Tensor:
        """The n_c, as real numbers, to which a gradient corresponds: (C,).

        Args:
            gradient: (C,), in the last biases, of the loss as a mean or a sum over B.
            predictions: (C, C), the mean prediction for images of each class.
            counts: (C,), the present assumption of how often each class occurs, with sum B.
        """


@dataclass(frozen=True)
class CrossEntropy(Response):
    """The response of the cross-entropy.

    The gradient is the mean of w_y (p - (1 - s) e_y - s / C), with the weights w_y of the true classes and
    the smoothing s; one of the two is plain (s = 0 or w = 1).

    Attributes:
        weights: (C,).
        smoothing: s.
        summed: whether the mean over images takes 1 for the weight of each.
    """

    weights: Tensor
    smoothing: float
    summed: bool

    @property
    def one_negative_entry(self) -> bool:  # type: ignore[override]
        return self.smoothing == 0

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(dim=-1)

    def wanted(self, gradient: Tensor, predictions: Tensor, counts: Tensor) -> Tensor:
        images = counts.sum()
        weighted = self.weights * counts
        whole = images if self.summed else weighted.sum()
        mean = weighted @ predictions / whole
        own = (mean - gradient - self.smoothing / len(gradient)) / (1 - self.smoothing)
        # A class without weight leaves no trace.
        found: Tensor = (whole * own / self.weights).where(self.weights > 0, 0)
        return found


@dataclass(frozen=True)
class BinaryCrossEntropy(Response):
    """The response of the binary cross-entropy, for images with one class each.

    The gradient at class c is the mean over images of p_c if c is not their class, and of w_c (p_c - 1) if
    it is, divided by C unless the loss is summed.

    Attributes:
        weights: (C,), the weights of positive examples.
        factor: the number by which the gradient was divided: C or 1.
    """

    weights: Tensor
    factor: int
    sums_to_zero = False

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def wanted(self, gradient: Tensor, predictions: Tensor, counts: Tensor) -> Tensor:
        own = predictions.diagonal()
        all_predicted = counts.to(predictions.dtype) @ predictions
        said = all_predicted - counts.sum() * self.factor * gradient
        found: Tensor = said / (own + self.weights * (1 - own))
        return found


def response_of(loss: Loss, classes: int) -> Response:
    """The response of a loss, in float64.

    Raises:
        BenchmarkError: it is not a bundled loss, or has class weights and label smoothing at the same time.
    """
    name = LOSSES.canonical(loss.use)
    weights = torch.tensor(loss.class_weights or (1.0,) * classes, dtype=torch.float64, device="cpu")
    if name == "cross_entropy" and not (loss.class_weights and loss.label_smoothing):
        return CrossEntropy(weights, loss.label_smoothing, loss.reduction == "sum")
    if name == "binary_cross_entropy":
        return BinaryCrossEntropy(weights, 1 if loss.reduction == "sum" else classes)
    what = "class weights with label smoothing" if name == "cross_entropy" else f"the loss '{loss.use}'"
    raise BenchmarkError(
        f"label_rule restoration does not know {what}; grant the labels, or use an attack that searches "
        "them, such as dlg"
    )
