"""How far the image moves that is reconstructed from a gradient without one of its features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Rows of one vectorised backward pass; its memory is that of a batch of as many images.
ROWS = 64
EPSILON = 1e-10


def feature_scores(features: Tensor, inputs: Tensor) -> Tensor:
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
