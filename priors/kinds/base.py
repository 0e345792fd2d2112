"""What is known about a bundled prior before it is made.

The networks need torch, which commands that must start quickly do without. In this folder, only the
functions that make a prior import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gifd_bench.priors.base import Prior as Prior
else:
    # jsonargparse executes the TYPE_CHECKING blocks of each module that holds a signature which it reads.
    # The modules with the factories have none, and import this name from here.
    Prior = Any


@dataclass(frozen=True)
class Variant:
    """A shape in which a prior is published or bundled.

    Attributes:
        name: the name of the shape; empty if there is only one.
        image_size: side of the image in pixels.
        classes: the number of classes on which it is conditioned; 0 if it is unconditional.
        latent: entries of the latent of one image.
        parameters: the number of parameters of the network.
        stages: the names of its stages.
        network: a function that makes it, with or without weights.
    """

    name: str
    image_size: int
    classes: int
    latent: int
    parameters: int
    stages: tuple[str, ...]
    network: Callable[[], Prior]


def _none_absent(_: Mapping[str, Any]) -> list[str]:
    return []


def _not_fetched(_: Mapping[str, Any]) -> bool:
    return False


@dataclass(frozen=True)
class PriorKind:
    """All facts about a bundled prior; nothing here imports torch, reads tensors or downloads anything.

    The functions take all arguments of the factory by name.

    Attributes:
        factory: makes the prior; its arguments are the options.
        origin: where the weights come from, in a few words.
        stage_names: returns the names of its stages; `None` if they cannot be known without its tensors.
        absent_files: returns what is missing before it can be made, one line for each file.
        are_fetched: returns whether missing files are downloaded when it is made.
        variants: the known shapes.
    """

    factory: Callable[..., Prior]
    origin: str
    stage_names: Callable[[Mapping[str, Any]], tuple[str, ...] | None]
    absent_files: Callable[[Mapping[str, Any]], list[str]] = _none_absent
    are_fetched: Callable[[Mapping[str, Any]], bool] = _not_fetched
    variants: tuple[Variant, ...] = ()


def stages_by_side(features: int) -> tuple[str, ...]:
    """The stages of a generator that is searched at its latent and at features of 4, 8, 16, ... pixels."""
    return ("latent", *(f"{4 * 2**k}x{4 * 2**k}" for k in range(features)))
