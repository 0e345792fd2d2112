"""Is a reconstruction closer to the truth than its matching loss allows?

An attack lowers the matching loss, so what remains of its error lies where the update hardly changes. An
image that was made from the truth has an error of another kind: the truth with noise, or with fewer gray
levels, has about the matching loss that any noise of its strength has. Of this project's attacks on 32x32
images, those better than 25 dB had at most 0.76 of it, and a cosine of at most 0.51 with the effect of a
blur. The exception is the plain search of a latent, which is flagged on one photograph (0.86 and 0.92), and
was cleared by a rerun. A truth that was darkened is not always found, nor one whose error was shaped with
care: the rerun is for these.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from gifd_bench.benchmark.scoring.metrics import psnr
from gifd_bench.leaderboard.matching import UpdateDistance
from gifd_bench.tasks.truth import Truth

# Below, there is nothing to gain by it, and images are odd in many ways.
LEAST_PSNR = 25.0
# 8-bit gray levels cost 58.9 dB: an attack may come closer, and then somebody should look.
COPY_PSNR = 58.0
MOST_RATIO = 0.85
MOST_BLUR = 0.95
DRAWS = 8
BLURS = (0.5, 0.8, 1.2, 2.0)


def suspicion(images: Tensor, labels: Tensor, truth: Truth, distance: UpdateDistance) -> str | None:
    """Why a person should look at a reconstruction; `None` if nothing is odd.

    Args:
        images: (B, 3, H, W) in [0, 1], in the order of the truth.
        labels: (B,) int64, in the order of the truth.
        truth: the private images and labels.
        distance: the matching loss of the observation.
    """
    quality = psnr(images, truth.images)
    best = float(quality.max())
    if best >= COPY_PSNR:
        return f"{best:.1f} dB: as close as a copy in 8 bits"
    if float(quality.mean()) < LEAST_PSNR:
        return None
    blurred = _blurred(images - truth.images, truth.images)
    if blurred >= MOST_BLUR:
        return f"its error is that of the truth blurred (cosine {blurred:.2f})"
    ratio = _noise_ratio(images, labels, truth, distance)
    if ratio >= MOST_RATIO:
        return (
            f"{ratio:.2f} of the excess matching loss of the truth with noise as strong, at {best:.1f} dB"
        )
    return None


def _noise_ratio(images: Tensor, labels: Tensor, truth: Truth, distance: UpdateDistance) -> float:
    """The matching loss above that of the truth, as a share of what noise of the same strength costs."""
    floor = distance(truth.images, truth.labels)
    generator = torch.Generator().manual_seed(0)
    strength = (images - truth.images).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    costs = []
    for _ in range(DRAWS):
        noise = torch.randn(truth.images.shape, generator=generator)
        costs.append(distance(_with(noise, truth.images, strength), truth.labels) - floor)
    mean = sum(costs) / DRAWS
    return (distance(images, labels) - floor) / mean if mean > 0 else 0.0


def _with(noise: Tensor, truth: Tensor, strength: Tensor) -> Tensor:
    """The truth with noise that has this strength after clamping to [0, 1]."""
    scale = strength
    for _ in range(4):
        cut = (truth + scale * noise).clamp(0, 1)
        found = (cut - truth).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        scale = scale * strength / found.clamp(min=1e-12)
    return (truth + scale * noise).clamp(0, 1)


def _blurred(error: Tensor, truth: Tensor) -> float:
    """The largest cosine of the error and the effect of a Gaussian blur on the truth."""
    found = 0.0
    for sigma in BLURS:
        width = min(9, truth.shape[-1] // 2 * 2 - 1)
        change = (gaussian_blur(truth, [width, width], [sigma, sigma]) - truth).flatten()
        cosine = torch.nn.functional.cosine_similarity(change, error.flatten(), dim=0)
        found = max(found, float(cosine))
    return found
