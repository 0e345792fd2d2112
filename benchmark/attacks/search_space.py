"""How an attack declares what can be tuned: it draws its options from ranges, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from gifd_bench.benchmark.errors import BenchmarkError

T = TypeVar("T", str, int, float)


class Draw(Protocol):
    """Something that picks values from ranges, such as a trial of Optuna.

    A name stands for the same range wherever it is drawn.
    """

    def log(self, name: str, low: float, high: float) -> float:
        """A number from `low` to `high`, with a uniform logarithm."""

    def uniform(self, name: str, low: float, high: float) -> float:
        """A number from `low` to `high`, uniformly."""

    def whole(self, name: str, low: int, high: int) -> int:
        """An integer from `low` to `high`, including both."""

    def choice(self, name: str, options: Sequence[T]) -> T:
        """One of several values."""


def split(total: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Divide a number of iterations in proportion to weights: at least one for each, and `total` in all.

    Raises:
        BenchmarkError: there are more parts than iterations.
    """
    if total < len(weights):
        raise BenchmarkError(f"{total} iterations are too few for {len(weights)} stages")
    spare, whole = total - len(weights), sum(weights)
    ends = [round(spare * sum(weights[: n + 1]) / whole) for n in range(len(weights))]
    return tuple(1 + end - before for end, before in zip(ends, [0, *ends[:-1]], strict=True))
