"""The common part of class-conditional generators: latent and class embedding, then one feature a stage."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from gifd_bench.priors.base import UNKNOWN_CLASS, Prior, State, normal


class ConditionalPrior(Prior):
    """A generator in a row of layers, all of which see one condition made of latent and class.

    A state of stage 0 holds `z` (B, latent_size) and `embedding` (B, E), the class; a later one holds
    `feature` (B, C, H, W) and `condition`. Searched are z, and after it the feature alone: the condition
    stays as stage 0 left it, as the release of GIFD holds BigGAN's conditioning vector. Where the class of
    any image is unknown, stage 0 searches the embedding too, from the mean of all classes.

    Attributes:
        latent_size: entries of z.
        layers: how many layers there are between the first feature and the image.
        first_layers: how many of them lie before the feature of stage 1.
    """

    latent_size: int
    layers: int
    first_layers: int

    @abstractmethod
    def embeddings(self) -> Tensor:
        """The class embeddings: (classes, E)."""

    @abstractmethod
    def begin(self, z: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """The network's first feature (B, C, 4, 4), and the condition."""

    @abstractmethod
    def run(self, feature: Tensor, condition: Tensor, start: int, stop: int) -> Tensor:
        """The feature after layers `start` to `stop - 1`."""

    @abstractmethod
    def finish(self, feature: Tensor, condition: Tensor) -> Tensor:
        """The image of the last feature: (B, 3, size, size) in [-1, 1]."""

    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        table = self.embeddings()
        z = normal(len(classes), self.latent_size, generator=generator)
        tensors = {"z": z.to(table), "embedding": _rows(table, classes)}
        return State(0, tensors, ("z", "embedding") if UNKNOWN_CLASS in classes else ("z",))

    def advance(self, state: State) -> State:
        feature, condition = self._until(state, self._layer(state.stage + 1))
        return State(state.stage + 1, {"feature": feature, "condition": condition}, ("feature",))

    def generate(self, state: State) -> Tensor:
        return (self.finish(*self._until(state, self.layers)) + 1) / 2

    def _until(self, state: State, stop: int) -> tuple[Tensor, Tensor]:
        tensors = state.tensors
        if state.stage == 0:
            feature, condition = self.begin(tensors["z"], tensors["embedding"])
            start = 0
        else:
            feature, condition = tensors["feature"], tensors["condition"]
            start = self._layer(state.stage)
        return self.run(feature, condition, start, stop), condition

    def _layer(self, stage: int) -> int:
        """The layer that the feature of a stage enters."""
        return self.first_layers + stage - 1


def _rows(table: Tensor, classes: Tensor) -> Tensor:
    """Rows of an embedding table, and its mean where a class is unknown."""
    classes = classes.to(table.device)
    known = (classes != UNKNOWN_CLASS)[:, None]
    return torch.where(known, table[classes.clamp(min=0)], table.mean(dim=0))
