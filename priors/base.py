"""The interface of priors: a generator, taken apart into stages so that an attack can search inside it."""

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
    """The state of a search inside a generator: everything that is needed to finish rendering from `stage`.

    Attributes:
        stage: the number of the stage; 0 is the latent.
        tensors: the tensors by name; their first dimension is the batch.
        searched: the names of the tensors that an attack optimizes at this stage. The others, such as a
            class embedding, are held fixed.
    """

    stage: int
    tensors: Mapping[str, Tensor]
    searched: tuple[str, ...]

    def __post_init__(self) -> None:
        missing = [name for name in self.searched if name not in self.tensors]
        if missing:
            raise ValueError(f"stage {self.stage} searches {missing}, which the state does not hold")


class Prior(nn.Module, ABC):
    """A generator in stages. It knows nothing about gradients, victims or attacks.

    Stage 0 is the latent. Stage k > 0 starts from the feature that enters the k-th part of the network
    (Fang et al., ICCV 2023, section 3.2). Every prior must keep this invariant: `render(advance(state))`
    equals `render(state)`.

    Attributes:
        stages: the names of the stages, stage 0 first.
        image_size: native height and width of a rendered image, in pixels.
        class_names: the classes on which it was trained, by index; empty if it is unconditional.
        noise_maps: the names of those tensors of a state that are noise added to features.
    """

    stages: tuple[str, ...]
    image_size: int
    class_names: tuple[str, ...]
    noise_maps: frozenset[str] = frozenset()

    @abstractmethod
    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        """Draw a latent for each image.

        The latents are drawn first, image after image, and everything else random after them (see
        `normal`). Priors, and options of one prior, then start from the same draws as far as possible.

        Args:
            classes: (B,) int64, the class of each image among `class_names`, or `UNKNOWN_CLASS`. If a class
                is unknown, a conditional prior searches the class embedding too.
            generator: the only source of randomness.

        Returns:
            A state of stage 0 for B images.
        """

    @abstractmethod
    def advance(self, state: State) -> State:
        """Run the part of the network that belongs to the state's stage.

        Args:
            state: a state of any stage except the last.

        Returns:
            The state at which the next stage starts. It renders the same images.
        """

    @abstractmethod
    def generate(self, state: State) -> Tensor:
        """Finish the network from a state.

        Args:
            state: a state of any stage, for B images.

        Returns:
            Images (B, 3, image_size, image_size) in [0, 1].
        """

    def render(self, state: State, size: int | None = None) -> Tensor:
        """Render the images of a state, at any size.

        A prior renders at its own size. Other sizes are reached here, and only here, by area pooling: each
        output pixel is the mean of the pixels that it covers.

        Args:
            state: a state of any stage, for B images.
            size: side of the images in pixels; by default, the prior's own.

        Returns:
            Images (B, 3, size, size) in [0, 1].
        """
        images = self.generate(state)
        if size is None or size == self.image_size:
            return images
        return F.interpolate(images, size=(size, size), mode="area")

    def sample(self, classes: Tensor, generator: torch.Generator, size: int | None = None) -> Tensor:
        """Draw random images of the given classes.

        Args:
            classes: (B,) int64, the class of each image among `class_names`, or `UNKNOWN_CLASS`.
            generator: the only source of randomness.
            size: side of the images in pixels; by default, the prior's own.

        Returns:
            Images (B, 3, size, size) in [0, 1].
        """
        return self.render(self.initial_state(classes, generator), size)


def normal(count: int, *shape: int, generator: torch.Generator) -> Tensor:
    """Standard normal numbers for each image, drawn one image after the other: (count, *shape).

    If they were drawn all at once, the numbers of an image would depend on how many images follow.

    Args:
        count: the number of images.
        shape: the shape of the numbers of one image.
        generator: the only source of randomness.
    """
    return torch.stack([torch.randn(shape, generator=generator) for _ in range(count)])
