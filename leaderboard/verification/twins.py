"""Does an attack do as well on images that nobody could know as on those of its track?

A class that carries knowledge about the images of a public track does not.
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
from gifd_bench.leaderboard.submission.reconstruction import SubmittedAnswer
from gifd_bench.leaderboard.text import shown
from gifd_bench.leaderboard.twins import NoTwins, draw_twins
from gifd_bench.leaderboard.verification.attack_all import Ordered, attack_all
from gifd_bench.leaderboard.verification.checks import judge
from gifd_bench.leaderboard.verification.report import Check, Score, Verdict
from gifd_bench.leaderboard.verification.rerun_folder import RerunFolder, seed_of
from gifd_bench.tasks.errors import TaskError

if TYPE_CHECKING:
    from gifd_bench.leaderboard.verification.rerun import RerunRequest

NAME = "twins"
# A metric of the observations of each task and defense.
Groups = Mapping[tuple[str, str], Sequence[float]]


@dataclass(frozen=True)
class Fall:
    """How much better an attack is on one set of observations than on another.

    Attributes:
        mean: the difference of the means.
        margin: half the width of its interval; infinite if too little is known.
    """

    mean: float
    margin: float


def check_twins(
    ordered: Ordered,
    scores: Mapping[str, Score],
    protocol: Protocol,
    request: RerunRequest,
    drawn: int,
    folder: RerunFolder | None,
) -> Check:
    """Attack secret twins of the track's observations, and compare the scores.

    Args:
        ordered: the submitted attack.
        scores: the scores of its rerun on the track.
        protocol: the track.
        request: the number of twins, and how they are attacked.
        drawn: the secret of this verification.
        folder: a folder that keeps the answers, so that an interrupted check continues.

    Raises:
        RerunRefused: there is no sandbox here.
    """
    secret = seed_of(drawn, NAME)
    try:
        rounds = draw_twins(protocol, request.twins, secret)
    except (NoTwins, TaskError) as error:
        return Check(name=NAME, verdict=Verdict.SKIPPED, detail=shown(error))
    with TemporaryDirectory(prefix="gifd-bench-twins-") as temporary:
        observations, truths = export_rounds(protocol, rounds, Path(temporary) / "observations")
        kept = RerunFolder(folder.path / NAME) if folder else None
        try:
            answers = attack_all(ordered, list(rounds), observations, request, secret, kept)
        except RerunFailed as error:
            # On the track it did not fail.
            return Check(name=NAME, verdict=Verdict.FLAGGED, detail=f"of twins, {shown(error, 400)}")
        reference = Reference(observations, truths)
        found = {
            name: judge(SubmittedAnswer(answer.images, answer.labels), name, answer, reference).score
            for name, answer in answers.items()
        }
    metric = protocol.file.metrics[0]
    track, twins = _groups(scores, metric), _groups(found, metric)
    if track is None or twins is None:
        return Check(name=NAME, verdict=Verdict.SKIPPED, detail=f"{metric} cannot be computed here")
    difference = fall(track, twins)
    worse = -difference.mean if metric in LOWER_IS_BETTER else difference.mean
    how = "worse" if worse > 0 else "better"
    detail = (
        f"{metric} is {how} by {abs(worse):.3g} on {len(rounds)} secret twins than on the track; chance "
        f"explains up to {difference.margin:.3g}"
    )
    verdict = Verdict.FLAGGED if worse > difference.margin else Verdict.PASSED
    return Check(name=NAME, verdict=verdict, detail=detail)


def fall(track: Groups, twins: Groups) -> Fall:
    """How much higher a metric is on a track than on twins of it.

    The weight of a task and defense is the number of its twins. The interval is Student's, for two samples
    with the same variance within every group, which an attack without knowledge about the images has.

    Args:
        track: the metric of each observation of the track, by task and defense.
        twins: the metric of each twin; their groups are groups of the track.
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
    """The mean over the images of each observation; `None` if one is not available."""
    found: dict[tuple[str, str], list[float]] = {}
    for score in scores.values():
        values = score.metrics[metric]
        if not values:
            return None
        found.setdefault((score.task, score.defense), []).append(fmean(values))
    return found
