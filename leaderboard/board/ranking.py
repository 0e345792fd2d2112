"""Which entry is ahead of which on a track, and which cannot be told apart.

Only entries whose images the verifier made itself have ranks. The best mean of the protocol's first metric
has rank 1, and shares it with every entry that a paired test cannot tell from it. The best of the remaining
entries has the next rank, and so on (`gifd_bench.benchmark.statistics.paired.shared_ranks`). A rank is 1 +
the number of entries before its group (1, 1, 3). All entries of a track answer the same observations, so
there are pairs; two overlapping intervals say less than a test of the differences.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from statistics import fmean

from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.benchmark.report.summary import ShownMetric
from gifd_bench.benchmark.scoring.registry import range_of
from gifd_bench.benchmark.statistics.interval import Interval
from gifd_bench.benchmark.statistics.paired import Scores, mean_of, shared_ranks
from gifd_bench.leaderboard.board.metrics import shown_as
from gifd_bench.leaderboard.entries import Entry
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.verification.report import Score, Standing


class EntryStatus(str, Enum):
    """The status of an entry in a table: why it has a rank, or why not."""

    RANKED = "ranked"
    SUPERSEDED = "superseded"
    INCOMPLETE = "incomplete"
    IN_QUESTION = "in question"
    UNSCORED = "unscored"
    SELF_REPORTED = "self-reported"


@dataclass(frozen=True)
class TrackRow:
    """An entry in the table of its track.

    Attributes:
        rank: `None` unless the status is `RANKED`.
        shared: whether another entry has the same rank.
        intervals: mean and interval over the private images by the name of the metric; `None` if an answer
            lacks the metric.
        parts: the same for every label of an axis (`defense` or `task`), for the axes with several labels.
        gradient_evaluations, seconds: means over the observations; `None` if one is not known.
        claims: like `intervals`, for the submitted images; empty if these are what is shown.
    """

    entry: Entry
    status: EntryStatus
    intervals: Mapping[str, Interval | None]
    parts: Mapping[str, Mapping[str, Mapping[str, Interval | None]]]
    gradient_evaluations: float | None
    seconds: float | None
    claims: Mapping[str, Interval | None]
    rank: int | None = None
    shared: bool = False

    @property
    def age(self) -> tuple[str, tuple[int, ...]]:
        """Date and version; a newer entry of an attack has a greater one."""
        version = self.entry.about.version
        return self.entry.date, tuple(int(part) for part in version.split("."))


@dataclass(frozen=True)
class Track:
    """A protocol and its entries, the ranked ones first.

    Attributes:
        axes: those of `defense` and `task` that have several labels, with the labels.
    """

    protocol: Protocol
    rows: tuple[TrackRow, ...]
    axes: Mapping[str, tuple[str, ...]]

    @property
    def key(self) -> str:
        """The protocol's."""
        return self.protocol.key

    @cached_property
    def metrics(self) -> list[ShownMetric]:
        """The metrics; entries are ranked by the first one."""
        return shown_as(self.protocol.file.metrics)

    @property
    def ranked(self) -> list[TrackRow]:
        """The rows with a rank."""
        return [row for row in self.rows if row.rank is not None]

    @cached_property
    def private_images(self) -> int:
        """The number of different private images; each may have been attacked several times."""
        return len({unit for units in units_of(self.protocol).values() for unit in units})


def track_of(protocol: Protocol, entries: Iterable[Entry]) -> Track:
    """Rank the entries of a protocol.

    Those that are incomplete, in question or superseded by a newer one of the same attack follow without a
    rank, best first.
    """
    axes = _axes(protocol)
    units = units_of(protocol)
    found = [_row(entry, protocol, units, axes) for entry in entries]
    found = _without_superseded(found)
    first, sign = protocol.file.metrics[0], shown_as(protocol.file.metrics)[0].sign

    def place(row: TrackRow) -> tuple[int, float, str]:
        interval = row.intervals[first]
        mean = 0.0 if interval is None else interval.mean
        return list(EntryStatus).index(row.status), -sign * mean, row.entry.key

    found.sort(key=place)
    ranked = [row for row in found if row.status is EntryStatus.RANKED]
    methods = [
        _scores(row.entry.verification.scores, protocol.rounds, first, units) or {} for row in ranked
    ]
    ranks = shared_ranks(methods, sign)
    with_rank = [
        replace(row, rank=rank, shared=ranks.count(rank) > 1)
        for row, rank in zip(ranked, ranks, strict=True)
    ]
    # Of those that share a rank the better mean comes first, as it did before.
    with_rank.sort(key=lambda row: row.rank or 0)
    return Track(protocol, (*with_rank, *found[len(ranked) :]), axes)


def units_of(protocol: Protocol) -> dict[str, list[Hashable]]:
    """The private images to which each observation belongs.

    Images that are attacked under several defenses, seeds or victims are the same.
    """
    return {name: _images_of(one) for name, one in protocol.rounds.items()}


def _images_of(one: Round) -> list[Hashable]:
    settings = one.task.settings
    batch = repr(one.task.dataset), repr(settings.selection), settings.images, one.target
    return [(*batch, k) for k in range(settings.images)]


def _axes(protocol: Protocol) -> dict[str, tuple[str, ...]]:
    rounds = protocol.rounds.values()
    labels = {
        "defense": tuple(dict.fromkeys(one.defense.label for one in rounds)),
        "task": tuple(dict.fromkeys(one.task.label for one in rounds)),
    }
    return {axis: found for axis, found in labels.items() if len(found) > 1}


def _row(
    entry: Entry,
    protocol: Protocol,
    units: Mapping[str, Sequence[Hashable]],
    axes: Mapping[str, Sequence[str]],
) -> TrackRow:
    scores, metrics = entry.verification.scores, protocol.file.metrics
    claims = entry.verification.claims
    labels = {
        "defense": {name: one.defense.label for name, one in protocol.rounds.items()},
        "task": {name: one.task.label for name, one in protocol.rounds.items()},
    }

    def intervals(names: Iterable[str]) -> dict[str, Interval | None]:
        answered = [name for name in names if name in scores]
        return {metric: _interval(scores, answered, metric, units) for metric in metrics}

    overall = intervals(protocol.rounds)
    answered = [score for name, score in scores.items() if name in protocol.rounds]
    return TrackRow(
        entry,
        _status(entry, overall[metrics[0]]),
        overall,
        {
            axis: {
                label: intervals([name for name, found in labels[axis].items() if found == label])
                for label in wanted
            }
            for axis, wanted in axes.items()
        },
        _mean([score.gradient_evaluations for score in answered]),
        _mean([score.seconds for score in answered]),
        {
            metric: _interval(claims, [name for name in protocol.rounds if name in claims], metric, units)
            for metric in (metrics if claims else ())
        },
    )


def _status(entry: Entry, first: Interval | None) -> EntryStatus:
    if entry.verification.standing not in (Standing.VERIFIED, Standing.SELF_REPORTED):
        return EntryStatus.IN_QUESTION
    if not entry.verification.complete:
        return EntryStatus.INCOMPLETE
    if first is None:
        return EntryStatus.UNSCORED
    return EntryStatus.RANKED if entry.verification.reranked else EntryStatus.SELF_REPORTED


def _without_superseded(rows: Sequence[TrackRow]) -> list[TrackRow]:
    """Only the newest entry of every attack that can be ranked stays rankable."""
    newest: dict[str, TrackRow] = {}
    for row in rows:
        attack = row.entry.about.attack
        if row.status is EntryStatus.RANKED and (attack not in newest or row.age > newest[attack].age):
            newest[attack] = row
    return [
        replace(row, status=EntryStatus.SUPERSEDED)
        if row.status is EntryStatus.RANKED and newest[row.entry.about.attack] is not row
        else row
        for row in rows
    ]


def _interval(
    scores: Mapping[str, Score],
    names: Sequence[str],
    metric: str,
    units: Mapping[str, Sequence[Hashable]],
) -> Interval | None:
    found = _scores(scores, names, metric, units)
    return mean_of(found, range_of(metric)) if found else None


def _scores(
    scores: Mapping[str, Score], names: Iterable[str], metric: str, units: Mapping[str, Sequence[Hashable]]
) -> Scores | None:
    """Every score, by private image and observation; `None` where an observation has none."""
    found: dict[tuple[Hashable, Hashable], float] = {}
    for name in names:
        values = scores[name].metrics.get(metric)
        if values is None:
            return None
        found |= {
            (unit, (name, k)): value
            for k, (unit, value) in enumerate(zip(units[name], values, strict=True))
        }
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
