"""How far searched latents are from what a generator was trained on."""

from __future__ import annotations

from torch import Tensor


def kl_to_standard_normal(latents: Tensor) -> Tensor:
    """Divergence from N(0, 1) of the normal distribution with the mean and the variance that the entries of
    a latent have, the mean over the batch: (L,) of (L, B, D).

    -(1 + log s^2 - m^2 - s^2) / 2, as in the release of GGL, of a variance that is kept from zero by 1e-10.
    """
    mean, variance = latents.mean(dim=2), latents.var(dim=2, unbiased=False)
    divergence: Tensor = (mean.square() + variance - 1 - (variance + 1e-10).log()) / 2
    return divergence.mean(dim=1)
