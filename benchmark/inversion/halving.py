"""Successive halving of restarts: the worst are dropped, and the rest of the budget goes to the best.

Karnin et al., "Almost optimal exploration in multi-armed bandits", ICML 2013; Jamieson and Talwalkar,
"Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016, figure 1. Nothing
here needs torch, because the cost of a search is planned with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Halvings:
    """When restarts that run side by side are dropped, and how many are left.

    Of 8 restarts with T iterations, the better 4 continue after T/8, the better 2 of these after T/4, and
    the best after T/2. Every round costs as much as the one before, and all together 2.5 T instead of 8 T.

    Attributes:
        restarts: the number of restarts that begin.
        iterations: iterations of a whole restart, over all of its stages.
        left: the number of restarts that are left, by the number of iterations after which others are
            dropped.
    """

    restarts: int
    iterations: int
    left: dict[int, int]

    @classmethod
    def none(cls, restarts: int, iterations: int) -> Halvings:
        """All restarts run to the end."""
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
        """The number of restarts that run to the end."""
        return min(self.left.values(), default=self.restarts)

    def restart_iterations(self, begin: int, end: int) -> int:
        """The iterations from `begin` to before `end`, where those of each restart count."""
        points = [0, *self.left, self.iterations]
        running = [self.restarts, *self.left.values()]
        spans = zip(itertools.pairwise(points), running, strict=True)
        return sum(count * max(0, min(last, end) - max(first, begin)) for (first, last), count in spans)


def best_of(criteria: Sequence[float], count: int) -> list[int]:
    """The places of the lowest criteria, in ascending order; among equal ones the first. NaN is worst."""
    order = sorted(range(len(criteria)), key=lambda i: (criteria[i] != criteria[i], criteria[i], i))
    return sorted(order[:count])
