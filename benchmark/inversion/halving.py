"""Successive halving of restarts: the worst are dropped as they go, and what is left of the budget is spent
on the best.

Karnin et al., "Almost optimal exploration in multi-armed bandits", ICML 2013; Jamieson and Talwalkar,
"Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016, figure 1. Nothing
here needs torch: what a search costs is planned with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Halvings:
    """When restarts that run side by side are dropped, and how many are left.

    Of 8 restarts of T iterations the better 4 go on after T/8, of these 2 after T/4, and the best after
    T/2: every half costs as much as the one before, and all together 2.5 T instead of 8 T.

    Attributes:
        restarts: that begin.
        iterations: of a whole restart, all of its stages.
        left: how many are left, by the number of iterations after which others are dropped.
    """

    restarts: int
    iterations: int
    left: dict[int, int]

    @classmethod
    def none(cls, restarts: int, iterations: int) -> Halvings:
        """All restarts go on to the end."""
        return cls(restarts, iterations, {})

    @classmethod
    def down_to_one(cls, restarts: int, iterations: int) -> Halvings:
        """Half of the restarts are dropped, rounded down, until one is left."""
        rounds, left = (restarts - 1).bit_length(), {}
        for done in range(1, rounds + 1):
            after = -(-iterations // 2 ** (rounds - done + 1))
            if after < iterations:
                left[after] = -(-restarts // 2**done)
        return cls(restarts, iterations, left)

    @property
    def at_the_end(self) -> int:
        """How many restarts come to their end."""
        return min(self.left.values(), default=self.restarts)

    def restart_iterations(self, begin: int, end: int) -> int:
        """How many iterations from `begin` to before `end` are taken, those of each restart counted."""
        points = [0, *self.left, self.iterations]
        running = [self.restarts, *self.left.values()]
        spans = zip(itertools.pairwise(points), running, strict=True)
        return sum(count * max(0, min(last, end) - max(first, begin)) for (first, last), count in spans)


def best_of(criteria: Sequence[float], count: int) -> list[int]:
    """The places of the lowest criteria, in order of place; of equal ones the first. One that is not a
    number is the worst."""
    order = sorted(range(len(criteria)), key=lambda i: (criteria[i] != criteria[i], criteria[i], i))
    return sorted(order[:count])
