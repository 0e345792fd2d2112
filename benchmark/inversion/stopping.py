"""Which iterate is the answer: the one that fits best, or one that does not yet fit the noise."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.choices import Stop
from gifd_bench.benchmark.inversion.matching import MatchingLoss


@dataclass(frozen=True)
class Judgment:
    """Of one candidate's update, all scalars; or of L candidates, all (L,).

    Attributes:
        objective: what the search minimizes, differentiable.
        criterion: what the answer is chosen by; lower is better.
        matching_loss: over the whole update.
    """

    objective: Tensor
    criterion: Tensor
    matching_loss: Tensor


class StopRule(ABC):
    """Judges updates by a matching loss.

    Attributes:
        floor: candidates are as good as they get once their criterion has come down to it.
        sees_whole_updates: whether all that it judges by is the matching loss over the whole update.
    """

    sees_whole_updates: ClassVar[bool] = True
    floor: float | Tensor = -math.inf

    def __init__(self, loss: MatchingLoss, observed: Sequence[Tensor], noise_std: float | Tensor) -> None:
        """See the observed update and how strong the noise on it is thought to be."""
        self.loss = loss
        self.loss.prepare(observed)

    @abstractmethod
    def judge(self, update: tuple[Tensor, ...]) -> Judgment:
        """Judge the update of a candidate."""


class LowestMatchingLoss(StopRule):
    """The iterate with the lowest matching loss: every paper's rule."""

    def judge(self, update: tuple[Tensor, ...]) -> Judgment:
        matching = self.loss(update)
        return Judgment(matching, matching.detach(), matching.detach())


class Discrepancy(LowestMatchingLoss):
    """The first iterate that fits the update as well as the truth would, given the noise on it (Morozov's
    discrepancy principle; Engl et al., "Regularization of inverse problems", 1996, section 4.3). What comes
    later fits the noise. Without noise there is no floor, and this is the lowest matching loss.
    """

    # The principle's factor above 1: what the noise level is known to. Below, the floor may never be
    # reached; far above, even a poor image is below it, since most of a noisy update is noise.
    FACTOR = 1.01

    def __init__(self, loss: MatchingLoss, observed: Sequence[Tensor], noise_std: float | Tensor) -> None:
        super().__init__(loss, observed, noise_std)
        std = torch.as_tensor(noise_std, device=observed[0].device)
        floor = self.loss.noise_floor(self.FACTOR * std)
        self.floor = torch.where(std > 0, floor, torch.full_like(floor, -math.inf))


class HeldOut(StopRule):
    """The iterate that best predicts entries of the update which the search does not see.

    Of every tensor one entry in `EVERY` is held out (a rest of fewer is left out altogether). Noise on them
    is independent of the noise that the search fits, so that their matching loss rises again when it does
    (cross-validation; Stone, "Cross-validatory choice and assessment of statistical predictions", 1974). It
    needs to know nothing of the noise, not even that there is any.
    """

    EVERY = 10
    sees_whole_updates: ClassVar[bool] = False

    def __init__(self, loss: MatchingLoss, observed: Sequence[Tensor], noise_std: float | Tensor) -> None:
        super().__init__(loss, observed, noise_std)
        searched, held = self._split(observed)
        self.searched, self.held = copy.copy(loss), copy.copy(loss)
        self.searched.prepare(searched)
        self.held.prepare(held)

    def judge(self, update: tuple[Tensor, ...]) -> Judgment:
        searched, held = self._split(update)
        with torch.no_grad():
            criterion, matching = self.held(held), self.loss(update)
        return Judgment(self.searched(searched), criterion, matching)

    def _split(self, update: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """What the search sees, and what is held out. Tensors of fewer entries are seen whole."""
        searched, held = [], []
        for tensor in update:
            flat = tensor.flatten()
            rows = flat[: len(flat) // self.EVERY * self.EVERY].view(-1, self.EVERY)
            searched.append(rows[:, :-1].flatten() if len(rows) else flat)
            held.append(rows[:, -1])
        return tuple(searched), tuple(held)


STOP_RULES: dict[Stop, type[StopRule]] = {
    "matching_loss": LowestMatchingLoss,
    "discrepancy": Discrepancy,
    "held_out": HeldOut,
}
