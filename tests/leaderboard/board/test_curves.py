"""Curves of quality against evaluations: their numbers, and that the chart draws them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifd_bench.leaderboard.board.curves import curve_of
from gifd_bench.leaderboard.board.ranking import TrackRow, track_of
from gifd_bench.leaderboard.board.site import write_board
from gifd_bench.leaderboard.entries import Entries, Entry
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.verification.report import Moment
from tests.browser import Browser
from tests.leaderboard.board.helpers import write_entry


def with_moments(entry: Entry, moments: dict[int, float], late: str = "") -> None:
    """Keep what the answers to all observations were worth; to one of them only from 5 evaluations on."""
    scores = {}
    for name, score in entry.verification.scores.items():
        of_it = {mark: value for mark, value in moments.items() if name != late or mark >= 5}
        kept = [
            Moment(gradient_evaluations=mark, metrics={"psnr": value + float(name == "001") * 16})
            for mark, value in of_it.items()
        ]
        scores[name] = score.model_copy(update={"moments": kept})
    entry.keep(entry.verification.model_copy(update={"scores": scores}))


def rows(entries: Path, protocol: Protocol) -> dict[str, TrackRow]:
    track = track_of(protocol, Entries(entries).of(protocol.key))
    return {row.entry.about.attack: row for row in track.rows}


def test_a_curve_is_the_mean_over_the_observations_up_to_the_answer(
    tmp_path: Path, protocol: Protocol
) -> None:
    with_moments(write_entry(tmp_path, protocol, 20.0), {1: 10.0, 2: 12.0, 50: 15.0})
    row = rows(tmp_path, protocol)["somebody"]
    # One of sixteen observations is 16 dB above.
    assert curve_of(row, "psnr") == [(1, 11.0), (2, 13.0), (50, 16.0), (90, 20.0)]
    assert curve_of(row, "ssim") == []


def test_a_curve_begins_where_every_observation_has_an_answer(tmp_path: Path, protocol: Protocol) -> None:
    with_moments(write_entry(tmp_path, protocol, 20.0), {1: 10.0, 2: 12.0, 5: 13.0, 10: 14.0}, late="000")
    assert [mark for mark, _ in curve_of(rows(tmp_path, protocol)["somebody"], "psnr")] == [5, 10, 90]


def test_an_entry_of_which_only_the_answer_is_known_has_no_curve(
    tmp_path: Path, protocol: Protocol
) -> None:
    write_entry(tmp_path, protocol, 20.0)
    assert curve_of(rows(tmp_path, protocol)["somebody"], "psnr") == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_the_chart_draws_a_line_for_a_curve_and_a_dot_for_an_answer(
    browser: Browser, tmp_path: Path, protocol: Protocol, width: int
) -> None:
    entries = tmp_path / "entries"
    with_moments(write_entry(entries, protocol, 20.0, attack="curved"), {1: 10.0, 10: 15.0})
    write_entry(entries, protocol, 18.0, attack="dotted")
    write_board(Entries(entries), [protocol], tmp_path / "board", lambda _: None)
    browser.open(tmp_path / "board" / "small-v1.html", width)
    browser.run("document.querySelectorAll('.plot').forEach(draw)")
    plots = "return [...document.querySelectorAll('.plot')].map(plot => plot.data.map(t => [t.mode, t.x]))"
    by_psnr, by_ssim, _ = browser.run(plots)
    assert by_psnr == [["lines+markers", [1, 10, 90]], ["markers+text", [90]]]
    # Of SSIM nothing was kept: the entries stand below each other.
    assert [mode for mode, _ in by_ssim] == ["markers"]
    assert browser.complaints() == []
