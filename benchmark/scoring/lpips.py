"""LPIPS where its backbone is at hand."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import AlexNet_Weights, VGG16_Weights

from gifd_bench.common.errors import one_line

Backbone = Literal["alex", "vgg"]
_WEIGHTS = {"alex": AlexNet_Weights.IMAGENET1K_V1, "vgg": VGG16_Weights.IMAGENET1K_V1}


class BackboneMissing(Exception):
    """The backbone's weights are not on this machine; the message says which file goes where."""


def lpips(reconstructions: Tensor, truths: Tensor, backbone: Backbone) -> list[float]:
    """LPIPS of each pair (Zhang et al., CVPR 2018), images (B, 3, H, W) in [0, 1].

    Raises:
        BackboneMissing: nothing is downloaded unasked.
    """
    network = _network(backbone)
    with torch.no_grad():
        pairs = zip(reconstructions, truths, strict=True)
        return [float(network(r[None], t[None])) for r, t in pairs]


@lru_cache(maxsize=2)
def _network(backbone: Backbone) -> LearnedPerceptualImagePatchSimilarity:
    url = _WEIGHTS[backbone].url
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not file.is_file():
        raise BackboneMissing(f"lpips_{backbone}: no backbone; put {url} at {file}")
    try:
        # `normalize`: it maps [0, 1] to the [-1, 1] that the network was calibrated on.
        return LearnedPerceptualImagePatchSimilarity(net_type=backbone, normalize=True).eval()
    except (OSError, RuntimeError) as error:
        detail = one_line(error)
        raise BackboneMissing(f"lpips_{backbone}: {file} cannot be read ({detail})") from error
