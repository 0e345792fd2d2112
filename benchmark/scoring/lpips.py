"""LPIPS, if its backbone is on this machine."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import AlexNet_Weights, VGG16_Weights

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.scoring.base import MetricMissing
from gifd_bench.common.errors import one_line
from gifd_bench.common.files import make_folder

Backbone = Literal["alex", "vgg"]
BACKBONES: tuple[Backbone, ...] = ("alex", "vgg")
_WEIGHTS = {"alex": AlexNet_Weights.IMAGENET1K_V1, "vgg": VGG16_Weights.IMAGENET1K_V1}


def lpips(reconstructions: Tensor, truths: Tensor, backbone: Backbone) -> list[float]:
    """LPIPS of each pair (Zhang et al., CVPR 2018), for images (B, 3, H, W) in [0, 1].

    Raises:
        MetricMissing: the weights of the backbone are not on this machine; the message says which command
            downloads them.
    """
    network = _network(backbone)
    with torch.no_grad():
        pairs = zip(reconstructions, truths, strict=True)
        return [float(network(r[None], t[None])) for r, t in pairs]


def backbone_file(backbone: Backbone) -> Path:
    """The file of the weights of a backbone, in the folder where PyTorch looks for it."""
    folder = Path(str(torch.hub.get_dir()))
    return folder / "checkpoints" / str(_WEIGHTS[backbone].url).rsplit("/", 1)[-1]


def fetch_backbone(backbone: Backbone, progress: bool) -> Path:
    """Download the weights of a backbone from PyTorch's own server, unless they are here.

    Args:
        backbone: which one.
        progress: whether to show a bar.

    Raises:
        BenchmarkError: they are not available, or are not those that their name says.
    """
    url, file = _WEIGHTS[backbone].url, backbone_file(backbone)
    if not file.is_file():
        make_folder(file.parent)
        # The end of the name is the beginning of the content's SHA-256.
        digest = file.stem.rsplit("-", 1)[-1]
        try:
            torch.hub.download_url_to_file(url, str(file), hash_prefix=digest, progress=progress)
        except (OSError, RuntimeError) as error:
            raise BenchmarkError(
                f"{url} cannot be fetched ({one_line(error)}); on a machine without a network, put that "
                f"file at {file}"
            ) from error
    return file


@lru_cache(maxsize=2)
def _network(backbone: Backbone) -> LearnedPerceptualImagePatchSimilarity:
    file = backbone_file(backbone)
    if not file.is_file():
        raise MetricMissing("no backbone is here (gifd-bench fetch lpips fetches it)")
    try:
        # `normalize`: it maps [0, 1] to the [-1, 1] that the network was calibrated on.
        return LearnedPerceptualImagePatchSimilarity(net_type=backbone, normalize=True).eval()
    except (OSError, RuntimeError) as error:
        raise MetricMissing(f"{file.name} cannot be read ({one_line(error)})") from error
