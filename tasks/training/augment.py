"""Random crops and mirroring of a batch at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def augment(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to an eighth of its side, and mirror every second one on average.

    He et al., CVPR 2016, section 4.2, where 32x32 images are padded by 4.

    Args:
        inputs: (B, 3, S, S), normalized, so that the padding with zeros has the mean color.
        generator: on the CPU; the only source of randomness.
    """
    count, _, size, _ = inputs.shape
    reach = size // 8
    top, left = torch.randint(2 * reach + 1, (2, count, 1), generator=generator)
    mirrored = torch.randint(2, (count, 1), generator=generator).bool()
    along = torch.arange(size)
    rows = (top + along)[:, None, :, None].to(inputs.device)
    columns = (left + torch.where(mirrored, along.flip(0), along))[:, None, None, :].to(inputs.device)
    image = torch.arange(count, device=inputs.device)[:, None, None, None]
    channel = torch.arange(inputs.shape[1], device=inputs.device)[:, None, None]
    return F.pad(inputs, (reach,) * 4)[image, channel, rows, columns]
