"""The staged interface: a generator taken apart so that an attack can search inside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

UNKNOWN_CLASS = -1

# Names of a state's tensors that are latents, drawn from (or mapped from) a normal distribution.
LATENTS = frozenset({"z", "latent"})


@dataclass(frozen=True)
class State:
    """Where a search stands inside a generator: everything needed to finish rendering from `stage`.

    `tensors` are batch-first. `searched` names those that the attack optimizes at this stage; the
    others (a class embedding, say) are held fixed.
    """

    stage: int
    tensors: Mapping[str, Tensor]
    searched: tuple[str, ...]

    def __post_init__(self) -> None:
        missing = [name for name in self.searched if name not in self.tensors]
        if missing:
            raise ValueError(f"stage {self.stage} searches {missing}, which the state does not hold")


class Prior(nn.Module, ABC):
    """A generator in stages. It knows nothing of gradients, victims or attacks.

    Stage 0 is the latent; stage k > 0 starts from the feature that enters the k-th part of the
    network (Fang et al., ICCV 2023, section 3.2). The invariant that every prior must keep:
    `render(advance(state))` equals `render(state)`.

    Attributes:
        stages: the stages' names, stage 0 first.
        image_size: native height and width of a rendered image, in pixels.
        class_names: the classes that it was trained on, by index; empty if unconditional.
        noise_maps: names of a state's tensors that are noise added to features.
    """

    stages: tuple[str, ...]
    image_size: int
    class_names: tuple[str, ...]
    noise_maps: frozenset[str] = frozenset()

    @abstractmethod
    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        """Draw a latent for each image.

        The latents are drawn first, image after image, and whatever else is random after them (see
        `normal`): priors, and options of one prior, then start from the same draws where they can.

        Args:
            classes: (B,) int64, the class of each image among `class_names`, or `UNKNOWN_CLASS`.
                Where a class is unknown, a conditional prior searches its class embedding too.
            generator: the only source of randomness.
        """

    @abstractmethod
    def advance(self, state: State) -> State:
        """Run the state's stage and return the state at which the next one starts."""

    @abstractmethod
    def generate(self, state: State) -> Tensor:
        """Finish the network from `state`: (B, 3, image_size, image_size), values in [0, 1]."""

    def render(self, state: State, size: int | None = None) -> Tensor:
        """Images of a state: (B, 3, size, size) in [0, 1].

        A prior renders at its own size; another size is reached here, and only here, by area
        pooling (each output pixel is the mean of the pixels it covers).
        """
        images = self.generate(state)
        if size is None or size == self.image_size:
            return images
        return F.interpolate(images, size=(size, size), mode="area")

    def sample(self, classes: Tensor, generator: torch.Generator, size: int | None = None) -> Tensor:
        """Random images of the given classes: (B, 3, size, size) in [0, 1]."""
        return self.render(self.initial_state(classes, generator), size)


def normal(count: int, *shape: int, generator: torch.Generator) -> Tensor:
    """Standard normal numbers for each image, drawn one image after the other: (count, *shape).

    Drawn in one go, an image's numbers would depend on how many images follow.

    Args:
        count: images.
        shape: of the numbers of one image.
        generator: the only source of randomness.
    """
    return torch.stack([torch.randn(shape, generator=generator) for _ in range(count)])
