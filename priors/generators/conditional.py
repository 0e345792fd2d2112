"""The common part of class-conditional generators: a latent and a class embedding, then features."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from gifd_bench.priors.base import UNKNOWN_CLASS, Prior, State, normal


class ConditionalPrior(Prior):
    """A generator made of consecutive layers, all of which see one condition made of latent and class.

    A state of stage 0 holds `z` (B, latent_size) and `embedding` (B, E), the class. A later state holds
    `feature` (B, C, H, W) and `condition`. Stage 0 searches z, and later stages only the feature: the
    condition stays as stage 0 left it, as the release of GIFD keeps BigGAN's conditioning vector. If the
    class of any image is unknown, stage 0 searches the embedding too, from the mean of all classes.

    Attributes:
        latent_size: entries of z.
        layers: the number of layers between the first feature and the image.
        first_layers: the number of these layers before the feature of stage 1.
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
        """The image that belongs to the last feature: (B, 3, size, size) in [-1, 1]."""

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
        """The layer whose input is the feature of a stage."""
        return self.first_layers + stage - 1


def _rows(table: Tensor, classes: Tensor) -> Tensor:
    """Rows of an embedding table; the mean of the table for an unknown class."""
    classes = classes.to(table.device)
    known = (classes != UNKNOWN_CLASS)[:, None]
    return torch.where(known, table[classes.clamp(min=0)], table.mean(dim=0))
