"""How much each feature contributes to the image that is reconstructed from a gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.tasks.defenses.draws import gaussian_like

# Rows of one vectorized backward pass; its memory is that of a batch of as many images.
ROWS = 64
EPSILON = 1e-10
# Random directions that an estimated score is a mean over, a whole number of them for each image.
DIRECTIONS = 128


def feature_scores(features: Tensor, inputs: Tensor) -> Tensor:
    """The score of each feature: the norm of the derivative of the feature in the input, over the feature.

    In a model in which images do not influence each other, the gradient of the sum of a feature over the
    batch is, for each image, the gradient of that image's feature.

    Args:
        features: (B, F), computed from `inputs`.
        inputs: (B, C, H, W), of which `features` is a differentiable function.

    Returns:
        (F,), summed over the batch.
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


def estimated_scores(features: Tensor, inputs: Tensor, generator: torch.Generator) -> Tensor:
    """An estimate of `feature_scores`, up to a factor, from a few passes for any number of features.

    For a standard normal v, the square of dr/dx v has the squared norm of the gradient as its mean, for all
    features and images at once. That product is the derivative, in u, of (dr/dx)^T u, times v. The standard
    deviation of a score is about 1 / sqrt(2 * DIRECTIONS) of itself.

    Args:
        features: (B, F), computed from `inputs`.
        inputs: (B, C, H, W), of which `features` is a differentiable function.
        generator: the source of v.

    Returns:
        (F,), summed over the batch.
    """
    u = torch.zeros_like(features, requires_grad=True)
    (linear,) = torch.autograd.grad(features, inputs, u, create_graph=True)
    squares = torch.zeros_like(features)
    for _ in range(math.ceil(DIRECTIONS / len(inputs))):
        (moved,) = torch.autograd.grad(linear, u, gaussian_like(inputs, generator), retain_graph=True)
        squares += moved.square()
    # A factor that all features share says nothing.
    scores: Tensor = (squares.sqrt() / (features.detach().abs() + EPSILON)).sum(dim=0)
    return scores
