"""The bundled training losses, with PyTorch's own functions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from gifd_bench.tasks.errors import TaskError


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    reduction: str = "mean",
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy, a scalar.

    Args:
        logits: (B, classes).
        labels: (B,) int64, or (B, classes) probabilities.
        reduction: `mean` or `sum` over the images; with class weights, the mean is weighted.
        class_weights: a factor for each class.
        label_smoothing: in [0, 1).
    """
    return F.cross_entropy(
        logits,
        labels,
        weight=_weights(logits, class_weights),
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def binary_cross_entropy(
    logits: Tensor, labels: Tensor, reduction: str = "mean", class_weights: Sequence[float] | None = None
) -> Tensor:
    """The binary cross-entropy of every class, with logits: a scalar.

    Args:
        logits: (B, classes).
        labels: (B,) int64, or (B, classes) in [0, 1], where several classes of an image may be 1.
        reduction: `mean` or `sum` over images and classes.
        class_weights: a factor for each class, for its positive examples.
    """
    targets = labels if labels.ndim == 2 else F.one_hot(labels, logits.shape[1])
    return F.binary_cross_entropy_with_logits(
        logits, targets.to(logits.dtype), pos_weight=_weights(logits, class_weights), reduction=reduction
    )


def _weights(logits: Tensor, class_weights: Sequence[float] | None) -> Tensor | None:
    if class_weights is None:
        return None
    if len(class_weights) != logits.shape[1]:
        raise TaskError(
            f"client.loss.class_weights: {len(class_weights)} given for {logits.shape[1]} classes"
        )
    return logits.new_tensor(class_weights)
