"""The published files and shapes of StyleGAN2.

Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.base import Prior, PriorKind, Variant, stages_by_side
from gifd_bench.priors.kinds.weight_files import Source, absent_file, are_fetched, read_header


@dataclass(frozen=True)
class StyleGAN2Config:
    """The shape of a generator.

    Attributes:
        style_dim: entries of a style.
        mapping_layers: layers of the mapping network.
        channels: channels of the feature map at 4, 8, 16, ... pixels.
    """

    style_dim: int
    mapping_layers: int
    channels: tuple[int, ...]

    @property
    def image_size(self) -> int:
        """Side of the rendered image in pixels."""
        return int(4 * 2 ** (len(self.channels) - 1))

    @property
    def latents(self) -> int:
        """The number of styles of an image (the number of vectors w in W+)."""
        return 2 * len(self.channels)

    @property
    def stages(self) -> tuple[str, ...]:
        """The latent, then the feature that enters each block."""
        return stages_by_side(len(self.channels) - 1)


# The published generator of faces.
_FFHQ = StyleGAN2Config(512, 8, (512, 512, 512, 512, 512, 256, 128, 64, 32))


def config_of(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> StyleGAN2Config:
    """The shape of a generator, from the shapes of its tensors.

    Raises:
        PriorError: they are not those of a StyleGAN2 generator; the message names the file.
    """
    blocks = sum(name.endswith(".conv.blur.kernel") for name in shapes)
    mapping = sum(name.startswith("style.") and name.endswith(".weight") for name in shapes)
    try:
        inputs = [shapes["conv1.conv.weight"][1]]
        outputs = [shapes[f"convs.{2 * k + 1}.conv.weight"][1] for k in range(blocks)]
        style = shapes["conv1.conv.modulation.weight"][1]
    except (KeyError, IndexError) as error:
        raise PriorError(f"{path}: not a StyleGAN2 generator ({error} is missing or no weight)") from error
    return StyleGAN2Config(style, mapping, (*inputs, *outputs))


def stylegan2(
    weights: Path | None = None,
    repository: str | None = None,
    filename: str = "stylegan2-ffhq-config-f.pt",
    revision: str | None = None,
    download: bool = False,
) -> Prior:
    """StyleGAN2 (FFHQ faces at 1024 pixels, or any size), from a `g_ema` state dict.

    Args:
        weights: a file with the state dict, or with one under `g_ema` as the PyTorch port saves it.
        repository: in place of `weights`, a Hugging Face repository.
        filename: the name of the file in the repository.
        revision: the commit of the repository.
        download: whether to download the file if it is not in the local cache.
    """
    path = weights or Source(None, repository, revision, download).file(filename)
    from gifd_bench.priors.generators.stylegan2 import load_stylegan2

    return load_stylegan2(path)


def _absent_files(arguments: Mapping[str, Any]) -> list[str]:
    if arguments["weights"] is not None:
        return absent_file(arguments["weights"])
    if arguments["repository"] is None:
        return ["no weights: give a file with the g_ema state dict, or a repository and a revision"]
    return _source(arguments).absent((arguments["filename"],))


def _stage_names(arguments: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The stage names from the header of a safetensors file.

    A file of `torch.save` would have to be loaded, so it gives `None`.
    """
    if _absent_files(arguments):
        return None
    weights = arguments["weights"]
    path = _source(arguments).file(arguments["filename"]) if weights is None else Path(weights)
    return config_of(path, read_header(path).shapes).stages if path.suffix == ".safetensors" else None


def _source(arguments: Mapping[str, Any]) -> Source:
    """The repository's files; nothing is downloaded."""
    return Source(None, arguments["repository"], arguments["revision"])


def _empty() -> Prior:
    from gifd_bench.priors.generators.stylegan2 import empty_stylegan2

    return empty_stylegan2(_FFHQ)


STYLEGAN2 = PriorKind(
    factory=stylegan2,
    origin="file or hub",
    stage_names=_stage_names,
    absent_files=_absent_files,
    are_fetched=are_fetched,
    variants=(
        Variant(
            name="ffhq",
            image_size=_FFHQ.image_size,
            classes=0,
            latent=_FFHQ.latents * _FFHQ.style_dim,
            parameters=30_370_060,
            stages=_FFHQ.stages,
            network=_empty,
        ),
    ),
)
