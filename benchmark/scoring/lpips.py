"""LPIPS where its backbone is at hand."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import AlexNet_Weights, VGG16_Weights

from gifd_bench.benchmark.scoring.base import MetricMissing
from gifd_bench.common.errors import one_line

Backbone = Literal["alex", "vgg"]
_WEIGHTS = {"alex": AlexNet_Weights.IMAGENET1K_V1, "vgg": VGG16_Weights.IMAGENET1K_V1}


def lpips(reconstructions: Tensor, truths: Tensor, backbone: Backbone) -> list[float]:
    """LPIPS of each pair (Zhang et al., CVPR 2018), images (B, 3, H, W) in [0, 1].

    Raises:
        MetricMissing: the backbone's weights are not on this machine, and nothing is downloaded unasked;
            the message says which file goes where.
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
        raise MetricMissing(f"no backbone; put {url} at {file}")
    try:
        # `normalize`: it maps [0, 1] to the [-1, 1] that the network was calibrated on.
        return LearnedPerceptualImagePatchSimilarity(net_type=backbone, normalize=True).eval()
    except (OSError, RuntimeError) as error:
        raise MetricMissing(f"{file} cannot be read ({one_line(error)})") from error
