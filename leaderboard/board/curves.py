"""What an entry's answers would have been worth if its attack had been stopped earlier."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from gifd_bench.leaderboard.board.ranking import TrackRow
from gifd_bench.leaderboard.verification.report import Score

# Gradient evaluations of an observation, and the mean of a metric over the observations.
Curve = list[tuple[float, float]]


def curve_of(row: TrackRow, metric: str) -> Curve:
    """The mean over an entry's observations by evaluations, up to its answer.

    Args:
        row: the row of the entry.
        metric: psnr or identified; nothing was kept for other metrics.

    Returns:
        The points by increasing evaluations, from where every observation has an answer; empty if one has
        none.
    """
    scores = list(row.entry.verification.scores.values())
    final, end = row.intervals.get(metric), row.gradient_evaluations
    courses = [_course(score, metric) for score in scores]
    if final is None or end is None or not courses or not all(courses):
        return []
    first = max(course[0][0] for course in courses)
    marks = sorted({mark for course in courses for mark, _ in course if first <= mark < end})
    found = [(float(mark), fmean(_at(course, mark) for course in courses)) for mark in marks]
    return [*found, (end, final.mean)] if found else []


def _course(score: Score, metric: str) -> list[tuple[int, float]]:
    """The course of one observation, with its answer last; empty if nothing was kept."""
    values = score.metrics.get(metric)
    earlier = [
        (moment.gradient_evaluations, moment.metrics[metric])
        for moment in score.moments
        if metric in moment.metrics
    ]
    return [*earlier, (score.gradient_evaluations, fmean(values))] if earlier and values else []


def _at(course: Sequence[tuple[int, float]], evaluations: int) -> float:
    """What the answer was worth after this many evaluations: that of the last moment before."""
    return next(value for mark, value in reversed(course) if mark <= evaluations)
