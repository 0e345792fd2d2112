"""What attacks had found at each moment: means over the cells that are done, by what had been spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from gifd_bench.benchmark.results.groups import Group
from gifd_bench.benchmark.results.rows import Row


@dataclass(frozen=True)
class CoursePoint:
    """One moment of an attack, as a mean over cells.

    Attributes:
        gradient_evaluations, seconds: what was spent until then; seconds are `None` if they were not
            recorded.
        psnr: in dB.
        identified: the share of the images, 0 to 1; `None` if identification was not computed.
    """

    gradient_evaluations: float
    seconds: float | None
    psnr: float
    identified: float | None


@dataclass(frozen=True)
class AttackCourse:
    """The progress of one attack to its answer.

    Attributes:
        attack: its name.
        points: its moments; the last one is the answer itself.
        cells: the number of cells that the means cover.
    """

    attack: str
    points: tuple[CoursePoint, ...]
    cells: int


def courses_of(group: Group) -> list[AttackCourse]:
    """The course of an attack on one task under one defense.

    There are several if some cells have other moments than others.
    """
    alike: dict[tuple[float, ...], list[list[CoursePoint]]] = {}
    for row in group.done:
        if row.psnr is not None and row.gradient_evaluations is not None:
            points = _points(row)
            alike.setdefault(tuple(point.gradient_evaluations for point in points), []).append(points)
    return [
        AttackCourse(
            group.attack, tuple(_mean(moments) for moments in zip(*paths, strict=True)), len(paths)
        )
        for paths in alike.values()
    ]


def _points(row: Row) -> list[CoursePoint]:
    """The moments of a cell, and the answer; for a cell without moments, the ends of its stages."""
    assert row.psnr is not None
    assert row.gradient_evaluations is not None
    moments = row.record.moments if row.record else ()
    points = [CoursePoint(m.gradient_evaluations, m.seconds, m.psnr, m.identified) for m in moments] or [
        CoursePoint(stage.gradient_evaluations, None, stage.psnr, None) for stage in row.stages
    ]
    answer = CoursePoint(row.gradient_evaluations, row.seconds, row.psnr, row.identified)
    if points and points[-1].gradient_evaluations == answer.gradient_evaluations:
        points.pop()
    return [*points, answer]


def _mean(points: Sequence[CoursePoint]) -> CoursePoint:
    return CoursePoint(
        fmean(point.gradient_evaluations for point in points),
        _mean_of([point.seconds for point in points]),
        fmean(point.psnr for point in points),
        _mean_of([point.identified for point in points]),
    )


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
