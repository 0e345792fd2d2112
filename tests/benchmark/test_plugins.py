"""An attack from outside, the one of the page on writing one: what is said of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gifd_bench.benchmark.cli import run as cli
from tests.benchmark.helpers import write_config

PAGE = Path(__file__).parents[2] / "docs" / "writing-an-attack.md"


@pytest.fixture
def coarse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The attack of the page, as a file in the working directory."""
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    Path("coarse.py").write_text(code, encoding="utf-8")
    return "coarse.py:Coarse"


@pytest.mark.slow
def test_results_are_shown_without_importing_anybodys_attack(coarse: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, attacks={"mine": {"use": coarse, "iterations": 2}})
    assert cli(["run", str(config), "--output", "out"]) == 0
    Path("coarse.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    assert cli(["show", "out"]) == 0
    assert cli(["report", "out"]) == 0


@pytest.mark.slow
def test_a_broken_promise_is_named(coarse: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("coarse.py")
    broken = path.read_text().replace(
        'torch.randn(shape, generator=lane.draw("start"))', "torch.randn(shape)"
    )
    Path("broken.py").write_text(broken.replace("torch.sigmoid(", "1.5 * torch.sigmoid("))
    assert cli(["check", "broken.py:Coarse", "--iterations=2"]) == 1
    printed = capsys.readouterr().out
    assert "BROKEN  answers with images and exactly their matching loss: images are in [" in printed
    assert "BROKEN  draws from its own generator" in printed
    assert "kept    counts every gradient evaluation" in printed


def test_an_error_is_given_with_the_line_that_raised_it(
    coarse: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Path("coarse.py").read_text(encoding="utf-8").splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "coarse = torch.sigmoid(" in line)
    lines[number - 1] = "        height, width = self.image_size"
    Path("wrong.py").write_text("\n".join(lines), encoding="utf-8")
    assert cli(["check", "wrong.py:Coarse", "--iterations=2"]) == 1
    printed = capsys.readouterr().out
    assert f"TypeError: cannot unpack non-iterable int object (wrong.py, line {number})" in printed


def test_the_same_name_twice_is_an_error(
    coarse: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path)
    assert (
        cli(["run", str(config), "--attacks+=gifd_bench.benchmark.attacks.ig.IG", "--output", "out"]) == 2
    )
    assert "there is an entry 'ig' already" in capsys.readouterr().err
