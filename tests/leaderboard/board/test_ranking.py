"""Who has which rank, and who has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifd_bench.benchmark.statistics.interval import mean_interval
from gifd_bench.leaderboard.board.ranking import EntryStatus, Track, TrackRow, track_of, units_of
from gifd_bench.leaderboard.entries import Entries
from gifd_bench.leaderboard.protocol import Protocol, read_protocol
from gifd_bench.leaderboard.verification.report import Check, Verdict
from tests.leaderboard.board.helpers import small_board, write_entry, write_protocol


@pytest.fixture
def protocol(tmp_path: Path) -> Protocol:
    return read_protocol(write_protocol(tmp_path))


def ranked(track: Track) -> list[tuple[str, int | None]]:
    return [(row.entry.about.attack, row.rank) for row in track.rows]


def rows_by_key(track: Track) -> dict[str, TrackRow]:
    return {row.entry.key: row for row in track.rows}


@pytest.mark.slow
def test_the_better_mean_is_first_and_those_that_cannot_be_told_apart_share_a_rank(
    tmp_path: Path, protocol: Protocol
) -> None:
    track = track_of(protocol, small_board(tmp_path, protocol).of(protocol.key))
    assert ranked(track)[:5] == [("first", 1), ("also-first", 1), ("third", 3), ("fourth", 4), ("last", 5)]
    assert [row.shared for row in track.rows[:5]] == [True, True, False, False, False]


@pytest.mark.slow
def test_who_is_not_ranked_is_listed_below_with_the_reason(tmp_path: Path, protocol: Protocol) -> None:
    track = track_of(protocol, small_board(tmp_path, protocol).of(protocol.key))
    assert ranked(track)[5:] == [
        ("third", None),
        ("partial", None),
        ("first", None),
        ("odd", None),
        ("claimant", None),
    ]
    assert [row.status for row in track.rows[5:]] == [
        EntryStatus.SUPERSEDED,
        EntryStatus.INCOMPLETE,
        EntryStatus.INCOMPLETE,
        EntryStatus.IN_QUESTION,
        EntryStatus.SELF_REPORTED,
    ]


def test_what_was_only_submitted_has_no_rank_and_supersedes_nothing(
    tmp_path: Path, protocol: Protocol
) -> None:
    write_entry(tmp_path, protocol, 20.0, attack="one")
    write_entry(tmp_path, protocol, 60.0, attack="one", version="99.9", date="9999-12-31", reranked=False)
    rows = rows_by_key(track_of(protocol, Entries(tmp_path).of(protocol.key)))
    assert rows["one/1.0_2026-01-31"].rank == 1
    assert rows["one/99.9_9999-12-31"].status is EntryStatus.SELF_REPORTED


def test_the_newest_version_is_ranked_as_numbers_not_as_text(tmp_path: Path, protocol: Protocol) -> None:
    for version in ("1.9", "1.10", "1.2"):
        write_entry(tmp_path, protocol, attack="one", version=version)
    rows = rows_by_key(track_of(protocol, Entries(tmp_path).of(protocol.key)))
    assert rows["one/1.10_2026-01-31"].rank == 1
    assert rows["one/1.9_2026-01-31"].status is EntryStatus.SUPERSEDED


def test_a_newer_version_that_cannot_be_ranked_supersedes_nothing(
    tmp_path: Path, protocol: Protocol
) -> None:
    failed = Check(name="budget", verdict=Verdict.FAILED, detail="too many")
    write_entry(tmp_path, protocol, attack="one", version="1")
    write_entry(tmp_path, protocol, attack="one", version="2", only=["000"])
    write_entry(tmp_path, protocol, attack="one", version="3", checks=[failed])
    rows = rows_by_key(track_of(protocol, Entries(tmp_path).of(protocol.key)))
    assert rows["one/1_2026-01-31"].rank == 1
    assert rows["one/3_2026-01-31"].status is EntryStatus.IN_QUESTION


def test_a_metric_that_one_answer_lacks_has_no_mean(tmp_path: Path, protocol: Protocol) -> None:
    write_entry(tmp_path, protocol)
    (row,) = track_of(protocol, Entries(tmp_path).of(protocol.key)).rows
    assert row.intervals["lpips_vgg"] is None
    assert row.parts["defense"]["noise"]["lpips_vgg"] is None


def test_without_the_metric_that_ranks_there_is_no_rank(tmp_path: Path) -> None:
    protocol = read_protocol(write_protocol(tmp_path, metrics=["lpips_vgg", "psnr"]))
    write_entry(tmp_path, protocol, attack="a")
    write_entry(tmp_path, protocol, attack="b", metrics={"lpips_vgg": 0.4})
    write_entry(tmp_path, protocol, attack="c", metrics={"lpips_vgg": 0.2})
    track = track_of(protocol, Entries(tmp_path).of(protocol.key))
    assert ranked(track) == [("c", 1), ("b", 2), ("a", None)]
    assert track.rows[-1].status is EntryStatus.UNSCORED


def test_an_image_under_two_defenses_is_one_private_image(protocol: Protocol) -> None:
    units = units_of(protocol)
    assert len(units) == 16
    assert len({unit for found in units.values() for unit in found}) == 8


def test_means_are_over_all_observations_and_over_those_of_each_defense(
    tmp_path: Path, protocol: Protocol
) -> None:
    psnr = {"none": [10.0 * k for k in range(1, 9)], "noise": [1.0 * k for k in range(1, 9)]}
    left = {label: list(values) for label, values in psnr.items()}
    write_entry(tmp_path, protocol, [left[one.defense.label].pop(0) for one in protocol.rounds.values()])
    (row,) = track_of(protocol, Entries(tmp_path).of(protocol.key)).rows
    assert row.intervals["psnr"] is not None
    assert row.intervals["psnr"].mean == pytest.approx(24.75)
    assert row.intervals["psnr"].n == 8
    for label, values in psnr.items():
        assert row.parts["defense"][label]["psnr"] == mean_interval(values)
    assert list(row.parts) == ["defense"]


def test_a_time_that_is_not_known_has_no_mean(tmp_path: Path, protocol: Protocol) -> None:
    write_entry(tmp_path, protocol, seconds=None, evaluations=7)
    (row,) = track_of(protocol, Entries(tmp_path).of(protocol.key)).rows
    assert (row.seconds, row.gradient_evaluations) == (None, 7)
