"""What is known of a bundled prior before it is made.

The networks need torch, which commands that must start at once do without: in this room they are imported
by the functions that make a prior, and by nothing else.
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
    """A prior in a shape that it is published or bundled in.

    Attributes:
        name: of the shape; empty where there is only one.
        image_size: side of the image in pixels.
        classes: how many it is conditioned on; 0 if unconditional.
        latent: entries of the latent of one image.
        parameters: of the network.
        stages: names of its stages.
        network: makes it, with weights or without.
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
    """All facts of a bundled prior; nothing here imports torch, reads tensors or fetches anything.

    The functions take all arguments of the factory by name.

    Attributes:
        factory: makes the prior; its arguments are the options.
        origin: where the weights come from, in a few words.
        stage_names: the names of its stages; `None` where they cannot be known without its tensors.
        absent_files: what is missing before it can be made, a line for each file.
        are_fetched: whether what is missing is fetched when it is made.
        variants: the shapes that it is known in.
    """

    factory: Callable[..., Prior]
    origin: str
    stage_names: Callable[[Mapping[str, Any]], tuple[str, ...] | None]
    absent_files: Callable[[Mapping[str, Any]], list[str]] = _none_absent
    are_fetched: Callable[[Mapping[str, Any]], bool] = _not_fetched
    variants: tuple[Variant, ...] = ()


def stages_by_side(features: int) -> tuple[str, ...]:
    """Stage names of a generator that is searched at its latent and at features of 4, 8, 16, ... pixels."""
    return ("latent", *(f"{4 * 2**k}x{4 * 2**k}" for k in range(features)))
