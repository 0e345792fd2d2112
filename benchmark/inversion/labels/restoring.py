"""The labels of a batch, from everything that the last layer's update says about them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.labels.counting import (
    CLEAN,
    DUMMIES,
    ROUNDS,
    Reading,
    nearest_counts,
    read,
    rescaled,
    smooth_noise,
    solve,
)
from gifd_bench.benchmark.inversion.labels.evidence import CountBounds, certain_bounds, no_bounds
from gifd_bench.benchmark.inversion.labels.last_layer import LastLayer, find_last_layer
from gifd_bench.benchmark.inversion.labels.responses import Response, response_of
from gifd_bench.tasks.losses import Loss
from gifd_bench.tasks.observation import Observation


def restoration(observation: Observation) -> Tensor:
    """The labels of a batch, with repetition, in ascending order: (B,) int64.

    First comes what is certain (`certain_bounds`): which classes occur, and images that are visible by
    themselves. The rest is counted as in `counts`, within these bounds: by the gradient in the last biases
    and the mean prediction for images of each class, which the rows of a class in the gradient give (Ma et
    al., "Instance-wise batch label restoration via gradients in federated learning", ICLR 2023, section 4).

    Unlike `counts`, it takes the client's loss into account if that is known: cross-entropy, also as a sum,
    with class weights or with label smoothing; and binary cross-entropy of images with one label each.

    Raises:
        BenchmarkError: the client's loss is another one, and there are several images.
        TaskError: the model does not end in a linear layer.
    """
    layer = find_last_layer(observation, smooth_noise(DUMMIES, observation.model.image_shape))
    batch = observation.batch_size
    if batch == 1:
        # Whatever the loss, an image pulls its own class most.
        return read(layer, batch).values.argmin(dim=0, keepdim=True)
    loss = Loss() if observation.client is None else observation.client.loss
    response = response_of(loss, observation.model.num_classes)
    reading = _read(layer, batch, response)
    bounds = no_bounds(len(reading.values), batch)
    if reading.exact or layer.bias_gradient is None:
        noise = _noise(layer) if response.sums_to_zero else 0.0
        bounds = certain_bounds(layer, batch, noise, response.one_negative_entry)
    predictions = _class_predictions(layer, reading, response, bounds)
    known_scale = not observation.is_difference or observation.client is not None
    if loss.is_plain:
        found = rescaled(reading, predictions, batch, bounds)
        if known_scale:
            as_it_is = solve(reading, predictions, batch, 1.0, bounds)
            if found.residual > as_it_is.residual / 2:
                found = as_it_is
        counts = found.counts
    else:
        counts = _counted(reading, predictions, response, bounds, batch)
    return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)


def _read(layer: LastLayer, batch_size: int, response: Response) -> Reading:
    """As `read`; if the entries need not sum to zero, the noise of the biases cannot be estimated."""
    if response.sums_to_zero or layer.bias_gradient is None:
        return read(layer, batch_size)
    return Reading(layer.bias_gradient, 0.0, exact=True)


def _noise(layer: LastLayer) -> float:
    """The standard deviation of noise on an entry of the weight gradient, whose columns sum to zero."""
    return float(layer.weight_gradient.sum(dim=0).square().mean().sqrt()) / math.sqrt(len(layer.weight))


def _class_predictions(
    layer: LastLayer, reading: Reading, response: Response, bounds: CountBounds
) -> Tensor:
    """The victim's mean prediction for images of each class: (C, C), with one row for each class.

    Only the rows of classes that may occur come from their own rows of the gradient.
    """

    def predicted(features: Tensor) -> Tensor:
        return response.probabilities(torch.nn.functional.linear(features, layer.weight, layer.bias))

    dummy = predicted(layer.features).mean(dim=0).expand(len(reading.values), -1)
    if not reading.exact or reading.error > CLEAN:
        return dummy
    own = predicted(layer.weight_gradient / reading.values[:, None])
    certain = (bounds.least > 0) & (reading.values < 0)
    occurs = (certain | (-reading.values > dummy[0])) & (bounds.most > 0)
    return own.where(occurs[:, None] & own.isfinite().all(dim=1, keepdim=True), dummy)


def _counted(
    reading: Reading, predictions: Tensor, response: Response, bounds: CountBounds, batch_size: int
) -> Tensor:
    """The counts (C,) int64 for a loss other than the plain one, whose scale is taken as known."""
    possible = (bounds.most > 0).to(torch.float64)
    found = batch_size * possible / possible.sum()
    for _ in range(ROUNDS):
        wanted = response.wanted(reading.values, predictions, found).clamp(min=0)
        total = float(wanted.sum())
        scaled = wanted * (batch_size / total) if total > 0 else found
        found = nearest_counts(scaled, bounds.least, batch_size, bounds.most).to(torch.float64)
    return found.to(torch.int64)
