"""Does an attack do as well on images that nobody could know as on those of its track?

A class that carries what it knows of a public track's images does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from scipy.stats import t as student

from gifd_bench.benchmark.statistics.interval import LEVEL
from gifd_bench.leaderboard.export import export_rounds
from gifd_bench.leaderboard.protocol import LOWER_IS_BETTER, Protocol
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.rerun.errors import RerunFailed
from gifd_bench.leaderboard.submission.reconstruction import Answer
from gifd_bench.leaderboard.text import shown
from gifd_bench.leaderboard.twins import NoTwins, draw_twins
from gifd_bench.leaderboard.verification.attack_all import Ordered, attack_all
from gifd_bench.leaderboard.verification.checks import judge
from gifd_bench.leaderboard.verification.report import Check, Score, Verdict
from gifd_bench.leaderboard.verification.rerun_folder import RerunFolder, seed_of
from gifd_bench.tasks.errors import TaskError

if TYPE_CHECKING:
    from gifd_bench.leaderboard.verification.rerun import Again

NAME = "twins"
# A metric of the observations of each task and defense.
Groups = Mapping[tuple[str, str], Sequence[float]]


@dataclass(frozen=True)
class Fall:
    """How much better an attack is on one set of observations than on another.

    Attributes:
        mean: the difference of the means.
        margin: half of the width of its interval; infinite where too little is known.
    """

    mean: float
    margin: float


def check_twins(
    ordered: Ordered,
    scores: Mapping[str, Score],
    protocol: Protocol,
    again: Again,
    drawn: int,
    folder: RerunFolder | None,
) -> Check:
    """Attack secret twins of the track's observations, and compare.

    Args:
        ordered: the submitted attack.
        scores: of its rerun on the track.
        protocol: the track.
        again: how many twins, and how they are attacked.
        drawn: the secret of this verification.
        folder: keeps the answers, so that what was interrupted goes on.

    Raises:
        RerunRefused: there is no sandbox here.
    """
    secret = seed_of(drawn, NAME)
    try:
        rounds = draw_twins(protocol, again.twins, secret)
    except (NoTwins, TaskError) as error:
        return Check(name=NAME, verdict=Verdict.SKIPPED, detail=shown(error))
    with TemporaryDirectory(prefix="gifd-bench-twins-") as temporary:
        observations, truths = export_rounds(protocol, rounds, Path(temporary) / "observations")
        kept = RerunFolder(folder.path / NAME) if folder else None
        try:
            answers = attack_all(ordered, list(rounds), observations, again, secret, kept)
        except RerunFailed as error:
            # On the track it did not fail.
            return Check(name=NAME, verdict=Verdict.FLAGGED, detail=f"of twins, {shown(error, 400)}")
        reference = Reference(observations, truths)
        found = {
            name: judge(Answer(its.images, its.labels), name, its, reference).score
            for name, its in answers.items()
        }
    metric = protocol.file.metrics[0]
    track, twins = _groups(scores, metric), _groups(found, metric)
    if track is None or twins is None:
        return Check(name=NAME, verdict=Verdict.SKIPPED, detail=f"{metric} cannot be computed here")
    its = fall(track, twins)
    worse = -its.mean if metric in LOWER_IS_BETTER else its.mean
    how = "worse" if worse > 0 else "better"
    detail = (
        f"{metric} is {how} by {abs(worse):.3g} on {len(rounds)} secret twins than on the track, where "
        f"chance makes up to {its.margin:.3g}"
    )
    verdict = Verdict.FLAGGED if worse > its.margin else Verdict.PASSED
    return Check(name=NAME, verdict=verdict, detail=detail)


def fall(track: Groups, twins: Groups) -> Fall:
    """How much higher a metric is on a track than on twins of it.

    Tasks and defenses weigh as much as there are twins of each. The interval is Student's, of two samples
    that have one variance within every group, as those of an attack that knows neither have.

    Args:
        track, twins: the metric of each observation, by task and defense; twins are of groups of the track.
    """
    count = sum(map(len, twins.values()))
    weights = {group: len(values) / count for group, values in twins.items()}
    mean = sum(w * (fmean(track[group]) - fmean(twins[group])) for group, w in weights.items())
    samples = [track[group] for group in twins] + list(twins.values())
    freedom = sum(len(values) - 1 for values in samples)
    if freedom < 1:
        return Fall(mean, inf)
    variance = sum((value - fmean(values)) ** 2 for values in samples for value in values) / freedom
    spread = sum(w**2 * (1 / len(track[g]) + 1 / len(twins[g])) for g, w in weights.items())
    return Fall(mean, float(student.ppf((1 + LEVEL) / 2, freedom)) * sqrt(variance * spread))


def _groups(scores: Mapping[str, Score], metric: str) -> dict[tuple[str, str], list[float]] | None:
    """The mean of each observation's images; `None` where one could not be had."""
    found: dict[tuple[str, str], list[float]] = {}
    for score in scores.values():
        values = score.metrics[metric]
        if not values:
            return None
        found.setdefault((score.task, score.defense), []).append(fmean(values))
    return found
