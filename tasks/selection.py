"""The choice of targets: which images of a dataset make up which batch."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gifd_bench.tasks.errors import TaskError


@dataclass(frozen=True)
class Batches:
    """Batches of dataset indices without common images, one for each target.

    Attributes:
        order: the indices, batch after batch; indices at the end that do not fill a batch are not used.
        batch_size: the number of indices in each batch.
    """

    order: Sequence[int]
    batch_size: int

    def __len__(self) -> int:
        """The number of targets."""
        return len(self.order) // self.batch_size

    def __getitem__(self, target: int) -> tuple[int, ...]:
        """The dataset indices of one target.

        Raises:
            TaskError: there is no such target.
        """
        if not 0 <= target < len(self):
            raise TaskError(
                f"target {target} does not exist: this selection in batches of {self.batch_size} makes "
                f"targets 0 to {len(self) - 1}"
            )
        first = target * self.batch_size
        return tuple(self.order[first : first + self.batch_size])

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return (self[target] for target in range(len(self)))


@dataclass(frozen=True)
class Selection:
    """How batches are drawn from a dataset; the same settings and labels always give the same batches.

    Attributes:
        rule: `consecutive`: images 0, 1, 2, ...; `every`: images 0, stride, 2 stride, ..., as in GIFD (Fang
            et al., ICCV 2023); `random`: all images, shuffled; `unique_labels`: no label twice in a batch,
            otherwise random.
        stride: the step of `every`.
        seed: the seed of `random` and `unique_labels`.
    """

    rule: Literal["consecutive", "every", "random", "unique_labels"] = "consecutive"
    stride: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise TaskError(f"selection: no rule '{self.rule}'; there are: {', '.join(RULES)}")
        if self.stride < 1:
            raise TaskError(f"selection: stride must be at least 1, not {self.stride}")
        if not 0 <= self.seed < 1 << 63:
            raise TaskError(f"selection: seed must be at least 0 and below 2^63, not {self.seed}")

    def batches(self, labels: Sequence[int], batch_size: int) -> Batches:
        """Draw the batches of a dataset.

        Args:
            labels: the labels of all its images; only `unique_labels` reads them.
            batch_size: images in each batch, at least 1.

        Raises:
            TaskError: not even one batch can be filled.
        """
        batches = Batches(RULES[self.rule](self, labels, batch_size), batch_size)
        if not len(batches):
            raise TaskError(
                f"selection: rule {self.rule} finds {len(batches.order)} of {len(labels)} images, too few "
                f"for one batch of {batch_size}"
            )
        return batches


def _consecutive(_selection: Selection, labels: Sequence[int], _batch_size: int) -> Sequence[int]:
    return range(len(labels))


def _every(selection: Selection, labels: Sequence[int], _batch_size: int) -> Sequence[int]:
    return range(0, len(labels), selection.stride)


def _random(selection: Selection, labels: Sequence[int], _batch_size: int) -> Sequence[int]:
    """The permutation that torch.randperm draws from this seed, computed without importing torch.

    Image i changes places with one of the images from i on, chosen by the i-th number of a Mersenne
    Twister.
    """
    order = list(range(len(labels)))
    twister = np.random.RandomState(selection.seed % (1 << 32))
    for i, number in enumerate(twister.randint(0, 1 << 32, size=len(order), dtype=np.uint32).tolist()):
        j = i + number % (len(order) - i)
        order[i], order[j] = order[j], order[i]
    return order


def _unique_labels(selection: Selection, labels: Sequence[int], batch_size: int) -> Sequence[int]:
    """An order in which each batch takes one image of each of the classes with most images left.

    Ties are broken at random. Taking from the fullest classes first fills as many batches as any order
    could.
    """
    waiting: dict[int, list[int]] = defaultdict(list)
    shuffled = _random(selection, labels, batch_size)
    for index in shuffled:
        waiting[labels[index]].append(index)
    if len(waiting) < batch_size:
        raise TaskError(
            f"selection: batches of {batch_size} images with unique labels need as many classes, and the "
            f"dataset has images of {len(waiting)}"
        )
    # An image's place in the shuffled order breaks ties, anew for every image, so that the classes of a
    # batch do not recur together.
    place = dict(zip(shuffled, range(len(shuffled)), strict=True))
    fullest = [(-len(queue), place[queue[-1]], label) for label, queue in waiting.items()]
    heapq.heapify(fullest)
    order: list[int] = []
    while len(fullest) >= batch_size:
        drawn = [heapq.heappop(fullest)[-1] for _ in range(batch_size)]
        for label in drawn:
            queue = waiting[label]
            order.append(queue.pop())
            if queue:
                heapq.heappush(fullest, (-len(queue), place[queue[-1]], label))
    return order


RULES: dict[str, Callable[[Selection, Sequence[int], int], Sequence[int]]] = {
    "consecutive": _consecutive,
    "every": _every,
    "random": _random,
    "unique_labels": _unique_labels,
}
