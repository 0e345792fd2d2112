"""The published files and shapes of DCGAN.

Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial
networks", ICLR 2016.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.base import Prior, PriorKind, Variant, stages_by_side
from gifd_bench.priors.kinds.weight_files import absent_file, read_header


@dataclass(frozen=True)
class DCGANConfig:
    """The shape of a generator: a latent, features of 4x4, 8x8, ... pixels, and an output layer.

    Attributes:
        latent_size: entries of the latent (`nz`).
        channels: channels of each feature.
        doubles: whether the output layer doubles the side (kernel 4, as in the tutorial of PyTorch) or
            keeps it (kernel 1, as in the generator for CIFAR-10 that GIAS uses).
    """

    latent_size: int
    channels: tuple[int, ...]
    doubles: bool

    @property
    def image_size(self) -> int:
        """Side of the rendered image in pixels."""
        return int(4 * 2 ** (len(self.channels) - 1 + self.doubles))

    @property
    def stages(self) -> tuple[str, ...]:
        """The latent, then the feature after each activation."""
        return stages_by_side(len(self.channels))


# The generator for CIFAR-10 of GIAS, and the one of PyTorch's tutorial (`nz` 100, `ngf` 64).
_CIFAR10 = DCGANConfig(100, (512, 256, 128, 64), doubles=False)
_TUTORIAL = DCGANConfig(100, (512, 256, 128, 64), doubles=True)
_WEIGHT = re.compile(r"(?:module\.)?main\.(\d+)\.weight")


def config_of(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> DCGANConfig:
    """The shape of a generator, from the shapes of its tensors.

    Raises:
        PriorError: they are not those of a DCGAN generator for images with three channels.
    """
    found = {int(m.group(1)): shapes[name] for name in shapes if (m := re.fullmatch(_WEIGHT, name))}
    # In the order of the layers, which a file need not keep; each third one is a convolution.
    weights = [found[index] for index in sorted(found) if index % 3 == 0]
    if len(weights) < 2:
        raise PriorError(f"{path}: not a DCGAN generator (main.0.weight, main.3.weight, ... are expected)")
    for number, shape in enumerate(weights):
        if len(shape) != 4:
            raise PriorError(f"{path}: 'main.{3 * number}.weight' has shape {shape}, of no convolution")
    if (images := weights[-1][1]) != 3:
        raise PriorError(f"{path}: a DCGAN for images of {images} channels; three are expected")
    return DCGANConfig(weights[0][0], tuple(w[1] for w in weights[:-1]), weights[-1][2] == 4)


def dcgan(weights: Path | None = None) -> Prior:
    """DCGAN, unconditional; its file determines the size: 32x32 (GIAS) or 64x64 (PyTorch's tutorial).

    Args:
        weights: a file with the generator's state dict, or with one under `netG_state_dict`, `generator`,
            `netG` or `state_dict`.
    """
    if weights is None:
        raise PriorError("dcgan: no weights: give a file with the generator's state dict")
    from gifd_bench.priors.generators.dcgan import load_dcgan

    return load_dcgan(weights)


def _stage_names(arguments: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The stage names from the header of a safetensors file.

    A file of `torch.save` would have to be loaded, so it gives `None`.
    """
    if absent_file(arguments["weights"]) or Path(arguments["weights"]).suffix != ".safetensors":
        return None
    path = Path(arguments["weights"])
    return config_of(path, read_header(path).shapes).stages


def _cifar10() -> Prior:
    from gifd_bench.priors.generators.dcgan import empty_dcgan

    return empty_dcgan(_CIFAR10)


def _tutorial() -> Prior:
    from gifd_bench.priors.generators.dcgan import empty_dcgan

    return empty_dcgan(_TUTORIAL)


DCGAN = PriorKind(
    factory=dcgan,
    origin="file",
    stage_names=_stage_names,
    absent_files=lambda arguments: absent_file(arguments["weights"]),
    variants=(
        Variant("cifar10", 32, 0, 100, 3_573_824, _CIFAR10.stages, _cifar10),
        Variant("tutorial", 64, 0, 100, 3_576_704, _TUTORIAL.stages, _tutorial),
    ),
)
