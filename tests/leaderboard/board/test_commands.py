"""`build` and `serve`."""

from __future__ import annotations

import re
import socket
import threading
import urllib.request
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gifd_bench.leaderboard.commands import build, serve
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.protocol import find_protocol
from tests.leaderboard.board.helpers import write_entry


@pytest.fixture
def entries(tmp_path: Path) -> Path:
    write_entry(tmp_path / "entries", find_protocol("photos-v1"), attack="mine")
    return tmp_path / "entries"


@pytest.mark.slow
def test_build_writes_all_tracks_and_prints_where(
    tmp_path: Path, entries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.run([f"--output={tmp_path / 'board'}", f"--entries={entries}"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'board' / 'index.html'}\n"
    text = (tmp_path / "board" / "index.html").read_text()
    for track in ("photos-v1", "cifar10-v1", "cifar10-defended-v2"):
        assert f'href="{track}.html"' in text
    assert "the private images" in text


@pytest.mark.slow
def test_ones_own_entries_stand_beside_those_of_the_project(tmp_path: Path, entries: Path) -> None:
    build.run([f"--output={tmp_path / 'board'}", f"--entries={entries}"])
    track = (tmp_path / "board" / "photos-v1.html").read_text()
    assert "attacks/mine.html" in track
    assert "attacks/gifd.html" in track
    build.run([f"--output={tmp_path / 'alone'}", f"--entries={entries}", "--alone"])
    alone = (tmp_path / "alone" / "photos-v1.html").read_text()
    assert "attacks/mine.html" in alone
    assert "attacks/gifd.html" not in alone
    assert not (tmp_path / "alone" / "cifar10-v1.html").read_text().count('href="attacks/')


@pytest.mark.slow
def test_every_page_leads_to_the_ranks_on_all_tracks_and_to_taking_part(
    tmp_path: Path, entries: Path
) -> None:
    write_entry(entries, find_protocol("cifar10-v1"), attack="mine", reranked=False)
    build.run([f"--output={tmp_path / 'board'}", f"--entries={entries}"])
    board = tmp_path / "board"
    for page in [*board.glob("*.html"), *(board / "attacks").glob("*.html")]:
        up = "../" if page.parent.name == "attacks" else ""
        for link in ("index.html", "ranks.html", "submit.html"):
            assert f'href="{up}{link}"' in page.read_text()
    ranks = (board / "ranks.html").read_text()
    assert ranks.count('href="attacks/gifd.html#photos-v1"') == 1
    # Nobody has attacked its other track again with the code of the entry.
    assert ranks.count('href="attacks/mine.html#photos-v1"') == 1
    assert "attacks/mine.html#cifar10-v1" not in ranks
    assert "gifd-bench leaderboard submit" in (board / "submit.html").read_text()


@pytest.mark.slow
def test_who_found_a_method_and_who_wrote_its_code_are_told_apart(tmp_path: Path, entries: Path) -> None:
    write_entry(
        entries,
        find_protocol("photos-v1"),
        attack="again",
        authors=["A. First"],
        implemented_by=["B. Second"],
    )
    build.run([f"--output={tmp_path / 'board'}", f"--entries={entries}"])

    def facts(attack: str) -> list[str]:
        text = (tmp_path / "board" / "attacks" / f"{attack}.html").read_text()
        return re.findall(r'<dt>(?:method|implemented) by</dt><dd><bdi class="free">(.*?)</bdi>', text)

    assert facts("again") == ["A. First", "B. Second"]
    assert facts("gifd")[1] == "this project"
    assert facts("gifd")[0].startswith("Hao Fang")
    assert facts("mine") == ["A. Author", "A. Author"]


def test_entries_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(LeaderboardError, match="no such folder of entries"):
        build.run([f"--output={tmp_path / 'board'}", f"--entries={tmp_path / 'none'}"])
    assert not (tmp_path / "board").exists()


def test_entries_of_an_unknown_protocol_are_one_line(tmp_path: Path, entries: Path) -> None:
    (entries / "other-v7").mkdir()
    with pytest.raises(LeaderboardError, match="other-v7: no such protocol"):
        build.run([f"--output={tmp_path / 'board'}", f"--entries={entries}"])


@pytest.mark.slow
def test_serve_shows_the_board_to_this_machine_until_it_is_interrupted(
    entries: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def one_request(server: Any) -> None:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        host, port = server.server_address
        with urllib.request.urlopen(f"http://{host}:{port}/photos-v1.html", timeout=20) as answer:
            seen.extend((host, answer.read().decode()))
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", one_request)
    assert serve.run([f"--entries={entries}", "--port=0"]) == 0
    host, page = seen
    assert host == "127.0.0.1"
    assert "attacks/mine.html" in page
    printed = capsys.readouterr()
    assert printed.out.startswith("http://127.0.0.1:")
    assert printed.err == ""


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_line(tmp_path: Path, entries: Path) -> None:
    build.run([f"--output={tmp_path / 'board'}", f"--entries={entries}"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LeaderboardError, match=rf"port {port} cannot be used .*--port"):
            serve.run([f"--directory={tmp_path / 'board'}", f"--port={port}"])


def test_serve_shows_nothing_but_boards(tmp_path: Path) -> None:
    with pytest.raises(LeaderboardError, match="no board"):
        serve.run([f"--directory={tmp_path}"])
