"""How often each class occurs in a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.benchmark.inversion.labels.evidence import CountBounds
from gifd_bench.benchmark.inversion.labels.last_layer import LastLayer, find_last_layer
from gifd_bench.tasks.observation import Observation

DUMMIES = 32
ROUNDS = 5
# A reading is exact while its error, in images, stays below this.
EXACT = 0.1
# Below this the rows of the update can be divided by each other.
CLEAN = 0.01
# Batches that the expected update is the mean of, where the scale is to be estimated.
DRAWS = 256


@dataclass(frozen=True)
class Reading:
    """The gradient in the biases of the logits, as read from an update.

    For class c of B images it is mean_b(p_bc) - n_c / B, where n_c is the number of images of this class,
    and p_bc is the victim's probability for image b.

    Attributes:
        values: (C,).
        error: the standard deviation of noise on an entry, in images (B times that in the gradient's unit).
        exact: whether `values` is that gradient itself, and not an estimate of it.
    """

    values: Tensor
    error: float
    exact: bool


@dataclass(frozen=True)
class Solution:
    """Counts (C,) int64, and the distance of what they predict from what was read, in images."""

    counts: Tensor
    residual: float
    predicted: Tensor


def counts(observation: Observation) -> Tensor:
    """The labels of a batch, with repetition, in ascending order: (B,) int64.

    With the gradient of the last bias, n_c = B (mean_b(p_bc) - gradient_c) (Geng et al., "Towards general
    deep leakage in federated learning", 2021), where the mean prediction is

    - first that for dummy inputs, as in LLG (Wainakh et al., "User-level label leakage from gradients in
      federated learning", PoPETs 2022), which are smooth noise here;
    - then, for classes whose own rows of the gradient show their mean features, the prediction for these
      features (Ma et al., "Instance-wise batch label restoration via gradients in federated learning", ICLR
      2023).

    The counts are the non-negative whole numbers with sum B that are nearest to that; a class with a
    negative gradient occurs at least once. Two things go beyond these papers:

    - A clean gradient sums to zero over the classes, so noise, pruning and the like show. If they do, or if
      there is no bias, the weight gradient's projection on the mean dummy features, which averages over
      many entries, replaces the gradient of the bias.
    - The scale of the update is estimated if it is not known, or if another scale explains the update far
      better (as with clipping, and with predictions that follow the labels in local training).

    Raises:
        TaskError: the model does not end in a linear layer.
    """
    layer = find_last_layer(observation, smooth_noise(DUMMIES, observation.model.image_shape))
    batch = observation.batch_size
    reading = read(layer, batch)
    if batch == 1:
        # Whatever is predicted, only the true class's entry is negative.
        return reading.values.argmin(dim=0, keepdim=True)
    predictions = class_predictions(layer, reading)
    found = rescaled(reading, predictions, batch)
    if not observation.is_difference or observation.client is not None:
        as_it_is = solve(reading, predictions, batch, 1.0)
        if found.residual > as_it_is.residual / 2:
            found = as_it_is
    return torch.repeat_interleave(
        torch.arange(len(found.counts), device=found.counts.device), found.counts
    )


def smooth_noise(count: int, shape: tuple[int, int, int]) -> Tensor:
    """Normalized dummy images (count, channels, height, width), which are always the same.

    They are Gaussian noise that is equally strong at all scales, as in photographs, with mean 0 and
    standard deviation 1.
    """
    generator = torch.Generator().manual_seed(0)
    channels, height, width = shape
    octaves = [
        F.interpolate(
            torch.randn(count, channels, 1 << octave, 1 << octave, generator=generator),
            size=(height, width),
            mode="bilinear",
        )
        for octave in range(math.ceil(math.log2(max(height, width))) + 1)
    ]
    images = torch.stack(octaves).sum(dim=0)
    return (images - images.mean()) / images.std()


def read(layer: LastLayer, batch_size: int) -> Reading:
    """The gradient in the last biases as it was sent.

    If it was not sent, or is too noisy, it is estimated from the gradient of the weights.
    """
    # The loss's gradient in the logits sums to zero over the classes.
    rows = math.sqrt(len(layer.weight_gradient))
    sums = layer.weight_gradient.sum(dim=0)
    noise = float(sums.square().mean().sqrt()) / rows
    if layer.bias_gradient is not None:
        error = batch_size * max(noise, abs(float(layer.bias_gradient.sum())) / rows)
        if error < EXACT:
            return Reading(layer.bias_gradient, error, exact=True)
    mean = layer.features.mean(dim=0)
    squared = mean.square().sum().clamp(min=torch.finfo(torch.float64).tiny)
    return Reading(
        layer.weight_gradient @ mean / squared, batch_size * noise / float(squared.sqrt()), exact=False
    )


def class_predictions(layer: LastLayer, reading: Reading) -> Tensor:
    """The victim's mean prediction for images of each class: (C, C), with one row for each class."""
    dummy = layer.predictions(layer.features).mean(dim=0).expand(len(reading.values), -1)
    if not reading.exact or reading.error > CLEAN:
        return dummy
    # An image's own row of the gradient is its features, times p - 1 < 0 as in the bias; the other images
    # of the batch add theirs with factors p > 0. Those must not outweigh it.
    own = layer.predictions(layer.weight_gradient / reading.values[:, None])
    occurs = (-reading.values > dummy[0])[:, None] & own.isfinite().all(dim=1, keepdim=True)
    return own.where(occurs, dummy)


def solve(
    reading: Reading, predictions: Tensor, batch_size: int, scale: float, bounds: CountBounds | None = None
) -> Solution:
    """The counts that explain a reading best.

    Args:
        reading: what the update says about the gradient in the last biases.
        predictions: the result of `class_predictions`.
        batch_size: B.
        scale: the positive factor by which the reading was multiplied.
        bounds: bounds of the counts, which hold whatever the reading says.
    """
    gradient = reading.values / scale
    slack = 1e-3 + 2 * reading.error / scale
    least = torch.ceil(-batch_size * gradient - slack).clamp(min=0)
    if not reading.exact or scale != 1:
        # A class that pulls the other way occurs; how often depends on a scale that is an estimate.
        least = least.clamp(max=1)
    most = None
    if bounds is not None:
        both = least.clamp(max=bounds.most).maximum(bounds.least)
        least = both if int(both.sum()) <= batch_size else bounds.least
        most = bounds.most
    mean = predictions.mean(dim=0)
    for _ in range(ROUNDS):
        found = nearest_counts(batch_size * (mean - gradient), least, batch_size, most)
        mean = found.double() @ predictions / batch_size
    predicted = mean - found / batch_size
    residual = batch_size * float(torch.linalg.vector_norm(predicted - gradient))
    return Solution(found, residual, predicted)


def rescaled(
    reading: Reading, predictions: Tensor, batch_size: int, bounds: CountBounds | None = None
) -> Solution:
    """The counts that explain a reading of unknown scale best.

    The first guess is the scale at which the negative entries sum to their average over batches with random
    labels (this is the impact of LLG, Wainakh et al.). Then counts and the scale of least squares are
    computed in turn.
    """
    generator = torch.Generator().manual_seed(0)
    classes = len(reading.values)
    labels = torch.randint(classes, (DRAWS, batch_size), generator=generator)
    drawn = torch.zeros(DRAWS, classes, dtype=torch.float64, device=labels.device)
    drawn.scatter_add_(1, labels, torch.ones_like(labels, dtype=torch.float64))
    expected = (drawn / batch_size - predictions.mean(dim=0)).clamp(min=0).sum(dim=1).mean()
    tiny = torch.finfo(torch.float64).tiny
    scale = max(float((-reading.values).clamp(min=0).sum() / expected), tiny)
    for _ in range(ROUNDS):
        found = solve(reading, predictions, batch_size, scale, bounds)
        fitted = float(reading.values @ found.predicted / found.predicted.square().sum().clamp(min=tiny))
        if fitted <= 0:
            break
        scale = fitted
    return solve(reading, predictions, batch_size, scale, bounds)


def nearest_counts(wanted: Tensor, least: Tensor, total: int, most: Tensor | None = None) -> Tensor:
    """The whole numbers with a given sum that are nearest to some numbers in least squares, within bounds.

    Args:
        wanted: (C,), the numbers.
        least: (C,), whole and non-negative lower bounds. If they sum to more than `total`, those of the
            largest `wanted` are met first.
        total: the sum.
        most: (C,), whole upper bounds, no less than `least`, with a sum of at least `total`; `None` for no
            bounds.
    """
    found = torch.zeros_like(wanted, dtype=torch.int64)
    for _ in range(total):
        # Greedy is optimal: what one more costs only grows. Where a bound is not met, it goes first.
        gain = wanted - found
        if most is not None:
            gain = gain.where(found < most, -torch.inf)
        missing = found < least
        found[gain.where(missing, -torch.inf).argmax() if bool(missing.any()) else gain.argmax()] += 1
    return found
