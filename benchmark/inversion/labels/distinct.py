"""Rules for a single image, and for batches in which no label occurs twice."""

from __future__ import annotations

import torch
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.labels.last_layer import find_last_layer
from gifd_bench.tasks.observation import Observation


def idlg(observation: Observation) -> Tensor:
    """The label of a single image: (1,) int64.

    The row of the true class in the last weight gradient points against all others (Zhao et al., "iDLG:
    improved deep leakage from gradients", 2020, equation 4). The class whose row points against most others
    is chosen, so noise on some rows does no harm. A defense, or a model with two classes, can make several
    equal; then the class with the lowest row sum is chosen, which the releases use: for non-negative
    features, it alone is negative.

    Raises:
        BenchmarkError: there are more images.
    """
    if observation.batch_size > 1:
        raise BenchmarkError(
            f"label_rule idlg is for one image, not {observation.batch_size}; use label_rule=counts"
        )
    rows = find_last_layer(observation).weight_gradient
    # A row's own product is its squared norm, never negative.
    against = (rows @ rows.t() < 0).sum(dim=1)
    most = against == against.max()
    return rows.sum(dim=1).where(most, torch.inf).argmin(dim=0, keepdim=True)


def row_minimum(observation: Observation) -> Tensor:
    """The classes whose rows of the last weight gradient hold the lowest entries, lowest first.

    Yin et al., "See through gradients: image batch recovery via GradInversion", CVPR 2021, section 3.2.

    Returns:
        (B,) int64.

    Raises:
        BenchmarkError: there are more images than classes.
    """
    return _lowest(find_last_layer(observation).weight_gradient.amin(dim=1), observation, "row_minimum")


def row_sum(observation: Observation) -> Tensor:
    """The classes whose rows of the last weight gradient have the lowest sums, lowest first.

    This is the rule of the releases of GGL (Li et al., CVPR 2022) and GIFD (Fang et al., ICCV 2023).

    Returns:
        (B,) int64.

    Raises:
        BenchmarkError: there are more images than classes.
    """
    return _lowest(find_last_layer(observation).weight_gradient.sum(dim=1), observation, "row_sum")


def _lowest(evidence: Tensor, observation: Observation, rule: str) -> Tensor:
    if observation.batch_size > len(evidence):
        raise BenchmarkError(
            f"label_rule {rule} finds each class once, and {observation.batch_size} images have only "
            f"{len(evidence)} classes; use label_rule=counts"
        )
    return torch.argsort(evidence, stable=True)[: observation.batch_size]
