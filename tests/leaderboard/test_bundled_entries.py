"""The entries that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.leaderboard import cli
from gifd_bench.leaderboard import entries as module
from gifd_bench.leaderboard.board.bundled import build_board
from gifd_bench.leaderboard.entries import Entries, Entry, bundled_entries
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.export import published_index
from gifd_bench.leaderboard.observation_set import checksum
from gifd_bench.leaderboard.protocol import find_protocol
from gifd_bench.leaderboard.verification.report import SCORING_VERSION, Standing

ENTRIES = Entries(bundled_entries())
ALL = [entry for protocol in ENTRIES.protocols() for entry in ENTRIES.of(protocol)]


@pytest.mark.parametrize("protocol", ["photos-v1", "cifar10-v1"])
def test_every_attack_of_this_project_is_on_the_board(protocol: str) -> None:
    reruns = [entry.submission.file.rerun for entry in ENTRIES.of(protocol)]
    found = {rerun.attack.use for rerun in reruns if rerun}
    # `gifd_released` shows what a defect costs; it is no method that competes. `gifd_plus` is `gifd` on
    # these tracks, which are without noise.
    assert found >= set(ATTACKS) - {"gifd_released", "gifd_plus"}


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.key)
def test_an_entry_is_what_was_verified(entry: Entry) -> None:
    entry.submission.check_files()
    protocol = find_protocol(entry.submission.file.protocol)
    index = published_index(protocol)
    assert index is not None
    assert entry.path.parts[-3:] == (protocol.key, *entry.key.split("/"))
    for name, result in entry.submission.results.items():
        item = index.observations[name]
        assert checksum(entry.submission.reconstruction(name)) == result.sha256
        assert result.gradient_evaluations <= protocol.file.budget.gradient_evaluations
        entry.submission.answer(name, item.images, item.size)
    assert entry.verification.standing in (Standing.VERIFIED, Standing.SELF_REPORTED, Standing.FLAGGED)
    assert entry.verification.scoring == SCORING_VERSION
    assert entry.verification.complete


@pytest.mark.slow
def test_the_board_shows_every_entry_whatever_version_its_options_are_of(tmp_path: Path) -> None:
    build_board(ENTRIES, tmp_path / "board")
    for entry in ALL:
        page = (tmp_path / "board" / "attacks" / f"{entry.about.attack}.html").read_text()
        rerun = entry.verification.rerun
        assert f"{rerun} observation{'s' if rerun > 1 else ''} of " in page
        assert "when it was verified" in page


def test_an_editable_install_s_links_lead_to_the_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "entries.py"
    link.symlink_to(Path(module.__file__).resolve())
    monkeypatch.setattr(module, "__file__", str(link))
    assert bundled_entries() == ENTRIES.path


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "--output", "board"],
        ["serve", "--port", "0"],
        ["rescore", "photos-v1"],
        ["accept", "submission"],
        ["preview", "submissions", "--output", "board"],
    ],
)
def test_without_a_checkout_one_line_asks_for_the_entries(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site-packages" / "entries.py"))
    with pytest.raises(LeaderboardError, match="give --entries FOLDER"):
        cli.run(arguments)
    assert list(tmp_path.iterdir()) == []
