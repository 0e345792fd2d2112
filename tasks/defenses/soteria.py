"""Perturbing the representation that the last layer sees."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_fraction
from gifd_bench.tasks.defenses.masks import Masked, part, smallest
from gifd_bench.tasks.last_layer import last_matrix, representation

# Rows of one vectorised backward pass; its memory is that of a batch of as many images.
ROWS = 64
EPSILON = 1e-10


@dataclass(frozen=True)
class Soteria(Defense):
    """Features whose loss moves the reconstructed image furthest are left out of the last layer's update
    (Sun et al., "Soteria: provable defense against privacy leakage in federated learning from
    representation perspective", CVPR 2021, with the l0 norm): those that are large for what the image moves
    them.

    Feature i of the representation r that enters the last linear layer scores the sum over the batch of
    ||d r_i / d x|| / |r_i|. The floor(sparsity * features) features that score least, of equals those that
    come first, have their columns of that layer's weight update zeroed. Features that are active for no
    image score 0 and so count among them, though they have nothing to hide. The score is taken at the
    weights of the round's start, in the model's own mode.

    Attributes:
        sparsity: the fraction of the features that is zeroed; 0.8 in the GIFD paper.
    """

    sparsity: float = 0.8

    def __post_init__(self) -> None:
        check_fraction("soteria: sparsity", self.sparsity)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        # A copy: the forward pass of a model in training mode changes its buffers.
        inputs = batch.inputs.detach().clone().requires_grad_()
        name, features = representation(copy.deepcopy(batch.model), inputs)
        zeroed = smallest(_scores(features, inputs), part(self.sparsity, features.shape[1]))
        return {**update, name: update[name].index_fill(1, zeroed, 0)}

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        tensors = list(observed.values())
        masks: list[Tensor | None] = [None] * len(tensors)
        last = last_matrix(tensors)
        masks[last] = (tensors[last] != 0).any(dim=0)
        return Masked(masks)


def _scores(features: Tensor, inputs: Tensor) -> Tensor:
    """The score of each of (B, F) features of the inputs: (F,).

    In a model whose images do not touch each other the gradient of a feature's sum over the batch is, image
    by image, that of the feature.
    """
    images, count = features.shape
    scores = []
    for chunk in torch.split(torch.arange(count, device=features.device), max(1, ROWS // images)):
        directions = F.one_hot(chunk, count).to(features.dtype)[:, None].expand(-1, images, -1)
        (gradients,) = torch.autograd.grad(
            features, inputs, directions, retain_graph=True, is_grads_batched=True
        )
        norms = torch.linalg.vector_norm(gradients.flatten(2), dim=2)
        scores.append((norms / (features.detach()[:, chunk].t().abs() + EPSILON)).sum(dim=1))
    return torch.cat(scores)
