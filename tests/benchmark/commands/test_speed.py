"""`gifd-bench speed`: the table, the files, and the errors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from gifd_bench.benchmark.cli import COMMANDS
from gifd_bench.benchmark.commands.speed import BEGIN, END, VICTIMS, run
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.common.errors import UserError

SMALL = ["--victims", "convnet", "--iterations", "2", "--turns", "1", "--devices", "cpu"]


@pytest.mark.slow
def test_every_stage_is_measured_and_written_to_the_page_and_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    files = ["--json", str(tmp_path / "s.json"), "--csv", str(tmp_path / "s.csv"), "--markdown", str(page)]
    assert run([*SMALL, "--attacks", "ig", "gifd", "--lanes", "1", "3", *files]) == 0
    rows = json.loads((tmp_path / "s.json").read_text())
    stages = ["latent", "4x4", "8x8", "16x16", "32x32"]
    expected: list[tuple[str, str | None, int, str]] = [("ig", None, n, "pixels") for n in (1, 3)]
    expected += [("gifd", "cifar10", n, stage) for n in (1, 3) for stage in stages]
    assert [(r["attack"], r["prior"], r["lanes"], r["stage"]) for r in rows] == expected
    for row in rows:
        assert row["path"] in ("factored", "general", "mixed")
        # An evaluation takes more than the gradient that it differentiates, less what lanes share.
        assert 0.2 < row["gradients"] < 100
        assert row["bare"] > 1
        assert row["evaluations"] > 0
    with (tmp_path / "s.csv").open() as file:
        assert [row["stage"] for row in csv.DictReader(file)] == [row["stage"] for row in rows]
    text = page.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert "old" not in text
    assert text.count("\n| convnet |") == len(rows)
    assert "gifd-bench speed --victims convnet" in text
    assert "4x4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--victims", "resnet81"], "did you mean resnet18"),
        (["--attacks", "igg"], "no attack 'igg'"),
        (["--iterations", "1"], "--iterations must be at least 2"),
        (["--lanes", "0"], "--lanes must be at least 1"),
        (["--devices", "nowhere"], "--devices nowhere"),
        (["--markdown", "absent.md"], "cannot be read"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        run(arguments)
    assert "\n" not in str(caught.value)


def test_a_page_without_the_lines_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Mine.\n")
    with pytest.raises(BenchmarkError, match="expected once"):
        run(["--markdown", str(page)])
    assert page.read_text() == "Mine.\n"


def test_it_is_a_command_and_knows_its_victims() -> None:
    assert "speed" in COMMANDS
    assert set(VICTIMS) >= {"convnet", "resnet18"}
