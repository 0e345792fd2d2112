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
    """The judgment of one candidate, as scalars; or of L candidates, as tensors (L,).

    Attributes:
        objective: what the search minimizes, differentiable.
        criterion: the value by which the answer is chosen; lower is better.
        matching_loss: the matching loss over the whole update.
    """

    objective: Tensor
    criterion: Tensor
    matching_loss: Tensor


class StopRule(ABC):
    """Judges updates by a matching loss.

    Attributes:
        floor: the criterion at which candidates are good enough; later ones are not better.
        sees_whole_updates: whether only the matching loss over the whole update is used.
    """

    sees_whole_updates: ClassVar[bool] = True
    floor: float | Tensor = -math.inf

    def __init__(self, loss: MatchingLoss, observed: Sequence[Tensor], noise_std: float | Tensor) -> None:
        """Take the observed update, and the estimated strength of the noise on it.

        Args:
            loss: the matching loss.
            observed: the observed update, one tensor for each parameter.
            noise_std: standard deviation of the noise on every entry; 0 without noise.
        """
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
    """The first iterate that fits the update as well as the truth would, given the noise on it.

    This is Morozov's discrepancy principle (Engl et al., "Regularization of inverse problems", 1996,
    section 4.3): later iterates fit the noise. Without noise there is no floor, and the rule is that of the
    lowest matching loss.
    """

    # The principle's factor is above 1, because the noise level is known only so well. Below, the floor
    # may never be reached; far above, even a poor image is below it, since most of a noisy update is
    # noise.
    FACTOR = 1.01

    def __init__(self, loss: MatchingLoss, observed: Sequence[Tensor], noise_std: float | Tensor) -> None:
        super().__init__(loss, observed, noise_std)
        std = torch.as_tensor(noise_std, device=observed[0].device)
        floor = self.loss.noise_floor(self.FACTOR * std)
        self.floor = torch.where(std > 0, floor, torch.full_like(floor, -math.inf))


class HeldOut(StopRule):
    """The iterate that best predicts entries of the update which the search does not see.

    One in `EVERY` entries of each tensor is held out; smaller remainders are left out altogether. The noise
    on these entries is independent of the noise that the search fits, so their matching loss rises again
    when the search fits noise (cross-validation; Stone, "Cross-validatory choice and assessment of
    statistical predictions", 1974). The rule needs to know nothing about the noise, not even whether there
    is any.
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
        """What the search sees, and what is held out; tensors with fewer entries are seen completely."""
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
