"""Damage of every kind to every file of a run folder: never silent, never a traceback, one line each."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from tests.benchmark.helpers import reconstructions, run, tiny_matrix, write_config

CHANGES: dict[str, Any] = {
    "attacks": {"ig": {"iterations": 2}},
    "defenses": {"none": None, "noise": {"use": "gaussian_noise", "std": 0.01}},
    "targets": [0, 1],
}
DAMAGES = 200
# Not what the numbers are made of: the log is for people, locks hold nothing, the page is made of the rest.
UNCHECKED = {"log.txt", "claim.lock"}


def flipped(content: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(content))
    return content[:place] + bytes([content[place] ^ dice.randrange(1, 256)]) + content[place + 1 :]


def truncated(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def edited(change: Callable[[Any], None]) -> Callable[[bytes, random.Random], bytes]:
    def damage(content: bytes, dice: random.Random) -> bytes:
        value = json.loads(content)
        change(value)
        return json.dumps(value, indent=1).encode() + b"\n"

    return damage


def better(value: Any) -> None:
    if "per_image" in value:
        value["per_image"]["psnr"] = [99.0]
    else:
        value["threads" if "threads" in value else "round"] = 2


def great(value: Any) -> None:
    value["status"] = "great"


ANY: list[Callable[[bytes, random.Random], bytes]] = [
    flipped,
    flipped,
    truncated,
    lambda content, dice: b"",
    lambda content, dice: bytes(len(content)),
    lambda content, dice: content + b"\0",
]
JSON: list[Callable[[bytes, random.Random], bytes]] = [
    *(lambda content, dice, text=text: text for text in (b"[]", b"{}", b"NaN", b"null", b"[" * 100_000)),
    edited(better),
    edited(great),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run(tiny_matrix(folder, **CHANGES), folder / "out")
    return folder


def files_of(folder: Path) -> list[Path]:
    found = (file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file())
    return [file for file in found if file.name not in UNCHECKED]


@pytest.mark.slow
def test_two_hundred_damages_are_each_said_and_none_is_a_number(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dice, out = random.Random(0), tmp_path / "out"
    files = files_of(whole / "out")
    assert {file.parts[0] for file in files} == {"cells", "matrix.json", "observations", "rounds", "truths"}
    good = {row.id: row.psnr for row in rows_of(RunFolder(whole / "out"))}
    kinds: dict[str, int] = {}
    shutil.copytree(whole / "out", out)
    restored = out / "matrix.json"
    for number in range(DAMAGES):
        shutil.copy2(whole / "out" / restored.relative_to(out), restored)
        restored = file = out / files[number % len(files)]
        kind = dice.choice(["swapped", "missing", *ANY, *(JSON if file.suffix == ".json" else [])])
        others = [f for f in files if f.suffix == file.suffix and f != file.relative_to(out)]
        if kind == "missing" or (kind == "swapped" and not others):
            if file.name == "result.json":
                continue  # Without a result the cell has not ended, as the table says.
            file.unlink()
        else:
            content = (
                (out / dice.choice(others)).read_bytes()
                if kind == "swapped"
                else kind(file.read_bytes(), dice)  # type: ignore[operator]
            )
            assert content != file.read_bytes()
            file.write_bytes(content)
        status = cli(["show", str(out), "--format", "json"])
        printed = capsys.readouterr()
        said = printed.err.splitlines()
        what = f"{number}: {file.relative_to(out)}: {kind}: {printed.err}"
        assert status in (1, 2), what
        kinds[file.relative_to(out).parts[0]] = kinds.get(file.relative_to(out).parts[0], 0) + 1
        if status == 2:
            assert len(said) == 1, what
            assert file.name == "matrix.json", what
            continue
        rows = json.loads(printed.out)
        damaged = {row["id"] for row in rows if row["status"] == "damaged"}
        assert [line.split(": ")[1] for line in said if line.startswith("damaged: ")] == [
            row["id"] for row in rows if row["id"] in damaged
        ], what
        assert damaged, what
        assert len(said) == len(damaged) + 1, what
        for row in rows:
            assert row["psnr"] == (None if row["id"] in damaged else good[row["id"]]), what
    assert min(kinds.values()) >= 3


@pytest.mark.parametrize("command", ["show", "status", "status --json", "report", "run"])
def test_every_command_says_it_and_ends_with_one(
    whole: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole / "out", out)
    first, *_ = sorted(out.glob("cells/*/reconstruction.safetensors"))
    first.write_bytes(flipped(first.read_bytes(), random.Random(0)))
    config = write_config(whole, **CHANGES)
    name, *options = command.split()
    where = [str(config), "--output", str(out)] if name == "run" else [str(out), *options]
    assert cli([name, *where]) == 1
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(f"{first.parent.name}: ")[2] for line in said[:-1]] == [
        f"{first}: damaged, or another file (its SHA-256 is not the recorded one)"
    ]
    if name in ("report", "run"):
        assert "1 damaged" in (out / "report.html").read_text()


@pytest.mark.slow
def test_retry_makes_again_what_is_damaged_and_nothing_else(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole / "out", out)
    folder = RunFolder(out)
    (first, its_folder), (second, _), *_ = folder.cells()
    its_folder.result.write_text(its_folder.result.read_text().replace('"done"', '"great"'))
    # Of the second only the truth is damaged: that is made again, and its cell is not.
    folder.round(second).truth.write_bytes(b"none")
    command = ["run", str(write_config(whole, **CHANGES)), "--output", str(out)]
    assert cli(command) == 1
    assert [row.status for row in rows_of(folder)].count("damaged") == 2
    stamps = {cell.id: its_folder.result.stat().st_mtime_ns for cell, its_folder in folder.cells()}
    assert cli([*command, "--retry", "damaged"]) == 0
    assert {row.status for row in rows_of(folder)} == {"done"}
    again = {
        cell.id
        for cell, its_folder in folder.cells()
        if its_folder.result.stat().st_mtime_ns != stamps[cell.id]
    }
    assert again == {first.id}
    assert (its_folder.path / "result.1.json").is_file()
    assert reconstructions(out) == reconstructions(whole / "out")
    assert cli(["show", str(out)]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("which", ["observations", "truths", "rounds"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "zeroed", "garbage"])
def test_a_round_is_made_again_before_anything_attacks_it(
    whole: Path, tmp_path: Path, which: str, damage: str
) -> None:
    out, matrix = tmp_path / "out", tiny_matrix(whole, **CHANGES)
    shutil.copytree(whole / "out", out)
    folder = RunFolder(out)
    (cell, its_folder), *_ = folder.cells()
    its_folder.result.unlink()
    (file,) = (out / which).glob(f"{cell.observation_id}.*")
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        new = {"truncated": content[:-9], "zeroed": bytes(len(content)), "garbage": os.urandom(99)}
        file.write_bytes(new[damage])
    run(matrix, out)
    assert {row.status for row in rows_of(folder)} == {"done"}
    assert reconstructions(out) == reconstructions(whole / "out")
    if which != "rounds":
        assert file.read_bytes() == content
