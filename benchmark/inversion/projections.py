"""Projections onto the sets that hold a search."""

from __future__ import annotations

import torch
from torch import Tensor


def project_l1_ball(points: Tensor, centers: Tensor, radius: float) -> Tensor:
    """The nearest point, for each sample, with |point - center|_1 <= radius.

    This is the sorting algorithm of Duchi et al., "Efficient projections onto the l1-ball for learning in
    high dimensions" (ICML 2008, figure 1), over all entries of a sample, without a branch on their values.

    Args:
        points: (B, ...).
        centers: the same shape.
        radius: positive.
    """
    offsets = (points - centers).flatten(1)
    sizes = offsets.abs()
    descending = sizes.sort(dim=1, descending=True).values
    excess = descending.cumsum(dim=1) - radius
    counts = torch.arange(1, sizes.shape[1] + 1, device=sizes.device, dtype=sizes.dtype)
    # At least one, so that a sample that is not finite stays so, and is no error here.
    active = (descending * counts > excess).sum(dim=1, keepdim=True).clamp(min=1)
    threshold = excess.gather(1, active - 1) / active
    shrunk = offsets.sign() * (sizes - threshold).clamp(min=0)
    inside = sizes.sum(dim=1, keepdim=True) <= radius
    return centers + torch.where(inside, offsets, shrunk).view_as(points)


def project_sphere(points: Tensor, centers: Tensor) -> Tensor:
    """Rescale every vector along the last dimension to the norm that it has in `centers`.

    Latents that are drawn from a normal distribution lie near a sphere (Menon et al., "PULSE", CVPR 2020,
    section 3.2), so a generator was trained on few others.

    Args:
        points: (..., N).
        centers: the same shape.
    """
    norms = torch.linalg.vector_norm(points, dim=-1, keepdim=True)
    wanted = torch.linalg.vector_norm(centers, dim=-1, keepdim=True)
    projected: Tensor = points * (wanted / norms.clamp(min=torch.finfo(points.dtype).tiny))
    return projected
