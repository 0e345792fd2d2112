"""Perturbing the representation that enters the last layer."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_fraction
from gifd_bench.tasks.errors import TaskError

# torch is imported only by what uses it: the options are read by commands that must start at once.
if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Soteria(Defense):
    """Zeroes in the last layer's update the features that the image moves least, relative to their size.

    Sun et al., "Soteria: provable defense against privacy leakage in federated learning from representation
    perspective", CVPR 2021, with the l0 norm.

    Feature i of the representation r that enters the last linear layer has as its score the sum over the
    batch of ||d r_i / d x|| / |r_i|. The floor(sparsity * features) features with the lowest scores have
    their columns of that layer's weight update set to zero; among equal scores, the first features.
    Features that are active for no image score 0 and so count among them, though they have nothing to hide.
    The score is computed at the weights of the start of the round, in the model's own mode. Exact scores
    take one backward pass for each feature, so they are estimated in a training of many steps.

    Attributes:
        sparsity: the fraction of the features that is set to zero; 0.8 in the GIFD paper.
    """

    sparsity: float = 0.8

    def __post_init__(self) -> None:
        check_fraction("soteria: sparsity", self.sparsity)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        from gifd_bench.tasks.defenses.feature_scores import estimated_scores, feature_scores
        from gifd_bench.tasks.defenses.masks import part, smallest
        from gifd_bench.tasks.last_layer import representation

        # A copy: the forward pass of a model in training mode changes its buffers.
        inputs = batch.inputs.detach().clone().requires_grad_()
        name, features = representation(copy.deepcopy(batch.model), inputs)
        if name not in update:
            raise TaskError(f"soteria: it changes the last layer's weight '{name}', which is not sent")
        if batch.estimate:
            scores = estimated_scores(features, inputs, generator)
        else:
            scores = feature_scores(features, inputs)
        zeroed = smallest(scores, part(self.sparsity, features.shape[1]))
        return {**update, name: update[name].index_fill(1, zeroed, 0)}

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        from gifd_bench.tasks.defenses.masks import Masked
        from gifd_bench.tasks.last_layer import last_matrix

        tensors = list(observed.values())
        masks: list[Tensor | None] = [None] * len(tensors)
        last = last_matrix(tensors)
        masks[last] = (tensors[last] != 0).any(dim=0)
        return Masked(masks)
