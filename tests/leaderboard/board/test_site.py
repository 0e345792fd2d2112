"""The files of a board."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gifd_bench.common.files import write_tensors
from gifd_bench.leaderboard.board.folder import MARKER
from gifd_bench.leaderboard.board.site import write_board
from gifd_bench.leaderboard.board.strips import Sprites
from gifd_bench.leaderboard.entries import Entries
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.protocol import Protocol, read_protocol
from tests.leaderboard.board.helpers import truths_of, write_entry, write_protocol


def build(entries: Path, protocol: Protocol, output: Path) -> Path:
    return write_board(Entries(entries), [protocol], output, lambda _: None).parent


def pages(board: Path) -> list[Path]:
    return sorted(board.rglob("*.html"))


@pytest.mark.slow
def test_there_is_a_page_and_a_table_for_every_track_and_attack(board: Path) -> None:
    names = {path.relative_to(board).as_posix() for path in (*pages(board), *board.rglob("*.json"))}
    attacks = ("first", "also-first", "third", "fourth", "last", "partial", "odd", "claimant")
    assert names == {
        *("index.html", "ranks.html", "submit.html"),
        *(f"small-v1.{end}" for end in ("html", "json")),
        *(f"attacks/{attack}.{end}" for attack in attacks for end in ("html", "json")),
    }


def test_every_link_within_the_board_leads_somewhere(board: Path) -> None:
    for page in pages(board):
        for link in re.findall(r'(?:src|href)="([^"]+)"', page.read_text()):
            if link == "data:," or link.startswith("https://example.org/"):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.is_relative_to(board.resolve())
            assert target.is_file(), link
            assert not anchor or f'id="{anchor}"' in target.read_text(), link


def test_links_away_tell_nothing_of_where_they_came_from(board: Path) -> None:
    text = (board / "attacks" / "first.html").read_text()
    links = re.findall(r"<a [^>]*https:[^>]*>", text)
    assert len(links) == 2
    assert all('rel="noopener noreferrer nofollow"' in link for link in links)


def test_the_page_of_an_attack_says_everything_of_each_entry(board: Path) -> None:
    text = (board / "attacks" / "first.html").read_text()
    for fact in (
        "A. Author",
        "MIT",
        "BigGAN",
        "ImageNet",
        "one CPU core",
        "0.10",
        "incomplete",
        "all there",
    ):
        assert fact in text
    # The older version used no prior.
    assert re.search(r"<dt>prior</dt><dd>\W*<bdi class=\"free\">none</bdi>", text)
    assert text.count("reconstruction of 0") == 32


def test_tables_as_json_hold_what_the_pages_show(board: Path) -> None:
    table = json.loads((board / "small-v1.json").read_text())
    assert (table["ranked_by"], table["observations"], table["private_images"]) == ("psnr", 16, 8)
    first = table["entries"][0]
    assert (first["about"]["attack"], first["rank"], first["shared"]) == ("first", 1, True)
    assert first["metrics"]["lpips_vgg"] is None
    assert first["metrics"]["psnr"]["low"] < first["metrics"]["psnr"]["mean"]
    assert set(first["parts"]["defense"]) == {"none", "noise"}
    attack = json.loads((board / "attacks" / "first.json").read_text())
    assert [entry["about"]["version"] for entry in attack["entries"]] == ["1.0", "0.10"]
    assert set(attack["entries"][1]["scores"]) == {"000"}


def test_a_track_without_entries_says_how_to_take_part(tmp_path: Path, protocol: Protocol) -> None:
    board = build(tmp_path / "entries", protocol, tmp_path / "board")
    for page in ("index.html", "small-v1.html"):
        assert "leaderboard export small-v1" in (board / page).read_text()


def test_pictures_show_each_answer_in_its_place(tmp_path: Path) -> None:
    protocol = read_protocol(write_protocol(tmp_path, targets=[0, 1, 2]))
    entry = write_entry(tmp_path / "entries", protocol, only=["001", "004"])
    board = build(tmp_path / "entries", protocol, tmp_path / "board")
    (picture,) = (board / "images").iterdir()
    with Image.open(picture) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (32, 6 * 32 + 5 * 2, 4)
    for k, name in enumerate(protocol.rounds):
        square = pixels[:, 34 * k : 34 * k + 32]
        if name in ("001", "004"):
            answer = entry.answer(name, 1, 32).images[0]
            assert not torch.equal(answer, entry.submission.answer(name, 1, 32).images[0])
            assert (square[..., :3] == (answer * 255).round().byte().permute(1, 2, 0).numpy()).all()
        assert (square[..., 3] == (255 if name in ("001", "004") else 0)).all()


def test_answers_of_one_update_stand_under_the_truths_that_they_answer(tmp_path: Path) -> None:
    task = {"dataset": {"use": "photos", "size": 32}, "model": "convnet", "batch_size": 3}
    protocol = read_protocol(write_protocol(tmp_path, tasks={"photos": task}, targets=[0]))
    entry = write_entry(tmp_path / "entries", protocol, reranked=False)
    truths = truths_of(protocol)
    for name, truth in truths.items():
        swapped = {"images": truth.images[[2, 0, 1]], "labels": truth.labels[[2, 0, 1]]}
        write_tensors(entry.submission.reconstruction(name), swapped)
    (tmp_path / "images").mkdir()
    sprites = Sprites(protocol, tmp_path, truths)
    above = sprites.truth()
    assert above is not None
    drawn = [Image.open(tmp_path / sprite.source) for sprite in (above, sprites.of(entry))]
    assert (np.asarray(drawn[0]) == np.asarray(drawn[1])).all()


def test_images_of_two_sizes_share_a_picture(tmp_path: Path) -> None:
    tasks = {
        f"photos{size}": {"dataset": {"use": "photos", "size": size}, "model": "convnet"}
        for size in (16, 32)
    }
    protocol = read_protocol(write_protocol(tmp_path, tasks=tasks, targets=[0], defenses={"none": None}))
    entry = write_entry(tmp_path / "entries", protocol)
    small = next(name for name, one in protocol.rounds.items() if one.task.label == "photos16")
    tensors = {"images": torch.rand(1, 3, 16, 16), "labels": torch.zeros(1, dtype=torch.int64)}
    write_tensors(entry.submission.reconstruction(small), tensors)
    (tmp_path / "images").mkdir()
    sprite = Sprites(protocol, tmp_path, None).of(entry)
    assert (sprite.size, sprite.columns, sprite.rows) == (32, 2, 1)


def test_a_reconstruction_of_another_shape_is_one_line(tmp_path: Path, protocol: Protocol) -> None:
    changed = write_entry(tmp_path / "verified", protocol)
    write_tensors(changed.images_file("000"), {"images": torch.zeros(1, 3, 32, 32)})
    with pytest.raises(LeaderboardError, match="is not what it was when the entry was accepted"):
        build(tmp_path / "verified", protocol, tmp_path / "board of it")
    entry = write_entry(tmp_path / "entries", protocol, reranked=False)
    write_tensors(entry.submission.reconstruction("000"), {"images": torch.zeros(1, 1, 8, 8)})
    with pytest.raises(LeaderboardError, match=r"000\.safetensors: tensors 'images' and 'labels'"):
        build(tmp_path / "entries", protocol, tmp_path / "board")


def test_what_has_not_changed_is_not_written_again(tmp_path: Path, protocol: Protocol) -> None:
    write_entry(tmp_path / "entries", protocol)
    board = build(tmp_path / "entries", protocol, tmp_path / "board")
    before = {path: path.stat().st_mtime_ns for path in board.rglob("*") if path.is_file()}
    del before[board / MARKER]
    build(tmp_path / "entries", protocol, board)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_building_again_removes_what_is_gone_and_nothing_that_is_not_its_own(
    tmp_path: Path, protocol: Protocol
) -> None:
    write_entry(tmp_path / "one", protocol, attack="gone")
    board = build(tmp_path / "one", protocol, tmp_path / "board")
    for name in ("CNAME", "attacks/notes.txt", "images/me.png"):
        (board / name).write_text("mine")
    write_entry(tmp_path / "two", protocol, attack="new")
    build(tmp_path / "two", protocol, board)
    assert sorted(path.name for path in (board / "attacks").iterdir()) == [
        "new.html",
        "new.json",
        "notes.txt",
    ]
    assert len(list((board / "images").iterdir())) == 2
    assert (board / "CNAME").read_text() == "mine"


@pytest.mark.parametrize("name", ["index.html", "thesis.txt"])
def test_a_folder_that_is_not_a_board_is_left_alone(tmp_path: Path, protocol: Protocol, name: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / name).write_text("mine")
    with pytest.raises(LeaderboardError, match="in use, and not by a board"):
        build(tmp_path / "entries", protocol, tmp_path / "home")
    with pytest.raises(LeaderboardError, match="is a file"):
        build(tmp_path / "entries", protocol, tmp_path / "home" / name)
    assert [path.name for path in (tmp_path / "home").iterdir()] == [name]
    assert (tmp_path / "home" / name).read_text() == "mine"


@pytest.mark.slow
def test_sixty_entries_are_built_in_seconds(tmp_path: Path) -> None:
    protocol = read_protocol(write_protocol(tmp_path, targets=[0, 1, 2]))
    for k in range(60):
        values: list[Any] = [20.0 + k / 7 + (k * j) % 5 for j in range(6)]
        write_entry(tmp_path / "entries", protocol, values, attack=f"attack-{k}")
    start = time.monotonic()
    build(tmp_path / "entries", protocol, tmp_path / "board")
    # 500 entries may take 30 seconds; ten times as long as it takes on an idle machine.
    assert time.monotonic() - start < 20
