"""Image regularisers. All take normalised images, as the releases of IG, GI and GIFD do: (L, B, C, H, W),
for one value a lane."""

from __future__ import annotations

import torch
from torch import Tensor


def total_variation(images: Tensor) -> Tensor:
    """Anisotropic total variation: mean |dx| + mean |dy|, (L,) (Geiping et al., NeurIPS
    2020, section 4; the mean over all entries is their release's)."""
    horizontal = (images[..., :, 1:] - images[..., :, :-1]).abs().flatten(1).mean(dim=1)
    vertical = (images[..., 1:, :] - images[..., :-1, :]).abs().flatten(1).mean(dim=1)
    return horizontal + vertical


def image_norm(images: Tensor) -> Tensor:
    """Mean over the batch of the Euclidean norm of an image over its number of pixels, (L,) (Yin et al.,
    "See through gradients", CVPR 2021, section 3.3; scaled as in the release of GIFD)."""
    pixels = images.shape[-1] * images.shape[-2]
    norms = torch.linalg.vector_norm(images.flatten(2), dim=2)
    penalty: Tensor = norms.mean(dim=1) / pixels
    return penalty
