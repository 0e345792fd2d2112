"""What each setting of a defense leaks under the best attack, and what it costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.matrix.defense import NONE, DefenseConfig
from gifd_bench.benchmark.matrix.task import TaskConfig, training_split
from gifd_bench.benchmark.results.record import CellRecord
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.identification import Lineup
from gifd_bench.benchmark.scoring.registry import IDENTIFIED, range_of
from gifd_bench.benchmark.statistics.interval import Interval, mean_interval
from gifd_bench.benchmark.tradeoff.accuracy import Training


@dataclass(frozen=True)
class Leak:
    """What one attack read under one setting, over all private images.

    Attributes:
        attack: its label.
        identified: the share of the images that were nearest to their reconstruction among the others.
        psnr: in dB.
        ssim: at most 1.
        images: the number of private images that these cover.
    """

    attack: str
    identified: Interval
    psnr: Interval
    ssim: Interval
    images: int


@dataclass(frozen=True)
class Point:
    """One setting of a defense.

    Attributes:
        task: the label of the task.
        defense: its label.
        kind: the names of its parts, without their options.
        strength: its options, as text.
        leaks: the leaks of all attacks with scores, the one that identified most first; among equals, the
            one with the highest SSIM first.
        accuracy: the accuracy of the victim, over the seeds; `None` if there is none.
        epsilon: the epsilon of the differential privacy of the whole training; `None` if the defense gives
            none.
        reason: why there is no accuracy.
        failed: cells that have no scores.
    """

    task: str
    defense: str
    kind: str
    strength: str
    leaks: tuple[Leak, ...]
    accuracy: Interval | None
    epsilon: float | None
    reason: str | None
    failed: int

    @property
    def best(self) -> Leak | None:
        """The leak under the best attack; `None` if no cell has scores."""
        return self.leaks[0] if self.leaks else None

    @property
    def undefended(self) -> bool:
        """Whether the update is sent as it is."""
        return self.kind == NONE


def points_of(
    run: RunFolder,
    matrix: Matrix,
    task: TaskConfig,
    trainings: Mapping[str, Sequence[Training]],
    distractors: int,
) -> list[Point]:
    """A point for every defense of a matrix, on one of its tasks.

    Args:
        run: the folder with the matrix's cells.
        matrix: the matrix.
        task: a task of the matrix.
        trainings: the trainings of every seed, by the label of the defense.
        distractors: the number of other images among which a private one is to be found.
    """
    ranks = _Ranks(run, task, distractors)
    cells: dict[str, list[Cell]] = defaultdict(list)
    for cell in matrix.cells():
        if cell.task.label == task.label:
            cells[cell.defense.label].append(cell)
    return [
        _point(run, task, defense, cells[defense.label], trainings.get(defense.label, ()), ranks)
        for defense in matrix.defenses
    ]


def _point(
    run: RunFolder,
    task: TaskConfig,
    defense: DefenseConfig,
    cells: Sequence[Cell],
    trainings: Sequence[Training],
    ranks: Callable[[Cell], list[int]],
) -> Point:
    scored: dict[str, list[_Scored]] = defaultdict(list)
    failed = 0
    for cell in cells:
        folder = run.cell(cell)
        found = folder.outcome()
        record = found if isinstance(found, CellRecord) else None
        psnr, ssim = (record.per_image.get(name) if record else None for name in ("psnr", "ssim"))
        if record is None or record.status != "done" or psnr is None or ssim is None:
            failed += 1
            continue
        label = cell.attack.label + (f" ({cell.prior.label})" if cell.prior else "")
        for image, rank in enumerate(ranks(cell)):
            scored[label].append(_Scored((cell.target, image), float(rank == 1), psnr[image], ssim[image]))
    leaks = [_leak(attack, found) for attack, found in scored.items()]
    accuracies = [one.accuracy for one in trainings if one.accuracy is not None]
    reasons = dict.fromkeys(one.reason for one in trainings if one.reason)
    epsilons = [one.epsilon for one in trainings if one.epsilon is not None]
    return Point(
        task=task.label,
        defense=defense.label,
        kind=" + ".join(part.name for part in defense.parts),
        strength=", ".join(
            f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
            for part in defense.parts
            for name, value in part.options.items()
        ),
        leaks=tuple(sorted(leaks, key=lambda leak: (-leak.identified.mean, -leak.ssim.mean))),
        accuracy=mean_interval(accuracies, within=(0.0, 1.0)) if accuracies else None,
        epsilon=fmean(epsilons) if epsilons else None,
        reason="; ".join(map(str, reasons)) or None,
        failed=failed,
    )


@dataclass(frozen=True)
class _Scored:
    """The scores of one reconstruction.

    They say to which private image it belongs, whether that was identified, and how near it is.
    """

    unit: Hashable
    identified: float
    psnr: float
    ssim: float


def _leak(attack: str, found: Sequence[_Scored]) -> Leak:
    units = [one.unit for one in found]

    def over(metric: str, values: Iterable[float]) -> Interval:
        return mean_interval(list(values), units, range_of(metric))

    return Leak(
        attack,
        over(IDENTIFIED, (one.identified for one in found)),
        over("psnr", (one.psnr for one in found)),
        over("ssim", (one.ssim for one in found)),
        len(set(units)),
    )


class _Ranks:
    """The ranks of a cell's images among others that do not belong to the cell."""

    def __init__(self, run: RunFolder, task: TaskConfig, distractors: int) -> None:
        self._run, self._task, self._count = run, task, distractors
        self._lineup: Lineup | None = None

    def __call__(self, cell: Cell) -> list[int]:
        folder = self._run.cell(cell)
        images = folder.images()[torch.tensor(folder.read().assignment)]
        if self._lineup is None:
            self._lineup = Lineup(training_split(self._task.dataset).build(), self._count)
        ranks, _ = self._lineup.ranks(images, self._run.truth(cell).images)
        return [int(rank) for rank in ranks]
