"""The weights of a generator as tensors that are searched, in a copy for each image."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gifd_bench.benchmark.inversion.search import Search, as_batch, as_lanes
from gifd_bench.priors.base import Prior, State


class Renderer(nn.Module):
    """A prior's rendering as the forward pass of a module, so that it can run with other weights.

    Args:
        prior: the prior, which is shared and left as it is.
        size: side of the images in pixels.
    """

    def __init__(self, prior: Prior, size: int) -> None:
        super().__init__()
        self.prior, self.size = prior, size

    def forward(self, state: State) -> Tensor:
        return self.prior.render(state, self.size)

    def used_weights(self, state: State) -> dict[str, Tensor]:
        """The weights on which the images of a state depend, by name; their values are not copied.

        The others (a table of class embeddings, a mapping network) would be useless in a search.
        """
        with torch.enable_grad():
            weights = {n: p.detach().requires_grad_() for n, p in self.named_parameters()}
            total = functional_call(self, weights, (state,)).sum()
            gradients = torch.autograd.grad(total, list(weights.values()), allow_unused=True)
        used = zip(weights.items(), gradients, strict=True)
        return {name: weight.detach() for (name, weight), gradient in used if gradient is not None}

    def render_each(self, state: State, weights: Mapping[str, Tensor]) -> Tensor:
        """Images of a state, each with weights of its own: (B, 3, size, size) in [0, 1].

        Args:
            state: a state of B images.
            weights: (B, ...) by name.
        """
        # All images are taken apart at once, so that the gradient is put together once, and not added up
        # image by image.
        own = {name: weight.unbind() for name, weight in weights.items()}
        batch = len(next(iter(own.values())))
        images = [
            functional_call(
                self,
                {name: copies[i] for name, copies in own.items()},
                (State(state.stage, {name: t[i : i + 1] for name, t in state.tensors.items()}, ()),),
            )
            for i in range(batch)
        ]
        return torch.cat(images)


def search_weights(renderer: Renderer, latent: Mapping[str, Tensor], batch: int) -> Search:
    """The start of a search, in one lane, of all weights on which the images depend.

    Args:
        renderer: the prior's rendering.
        latent: the tensors of the first stage by name, (B, ...) each; they stay as they are.
        batch: the number of images, each of which gets weights of its own.
    """
    weights = renderer.used_weights(State(0, latent, ()))
    return Search({name: weight.expand(batch, *weight.shape) for name, weight in weights.items()}, latent)


def render_weights(renderer: Renderer, search: Search) -> Tensor:
    """The images of such a search in L lanes: (L, B, 3, size, size) in [0, 1]."""
    latents = State(0, {name: as_batch(tensor) for name, tensor in search.held.items()}, ())
    lanes = len(next(iter(search.searched.values())))
    weights = {name: as_batch(tensor) for name, tensor in search.searched.items()}
    return as_lanes(renderer.render_each(latents, weights), lanes)
