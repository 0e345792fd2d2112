"""Names of folders, which may be anybody's, command no terminal through the leaderboard's commands."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from gifd_bench.leaderboard import cli
from gifd_bench.leaderboard.commands.verify import show
from gifd_bench.leaderboard.verification.report import Check, Verdict, Verification
from tests.benchmark.commands.test_terminal import COMMANDS, HOSTILE
from tests.leaderboard.helpers import Honest


@pytest.mark.usefixtures("known")
def test_no_command_passes_on_what_a_name_says_to_the_terminal(
    honest: Honest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / HOSTILE
    shutil.copytree(honest.submission, folder / "proposed" / "mine")
    for name in ("entries", "nothing"):
        (folder / name).mkdir()

    def at(name: str) -> str:
        return str(folder / name)

    seen, entries = ["--observations", at("observations")], ["--entries", at("entries")]
    about, output = str(honest.folder / "about.yaml"), ["--output", at("submission")]
    for command in (
        ["export", str(honest.protocol), "--output", at("observations")],
        ["attack", at("observations"), "--attack", "ig", "--attack.iterations=1", "--output", at("run")],
        ["submit", at("run"), "--protocol", str(honest.protocol), "--about", about, *seen, *output],
        ["preview", at("nothing"), *entries, "--output", at("preview")],
        ["accept", at("proposed/mine"), *seen, *entries, "--rerun", "0"],
    ):
        assert cli.run(command) == 0
        printed = capsys.readouterr()
        assert "owned" in printed.out, command[0]
        assert not COMMANDS & set(printed.out + printed.err), command[0]


def test_the_path_of_a_board_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "entries").mkdir()
    board = ["--alone", "--output", str(tmp_path / HOSTILE)]
    assert cli.run(["build", "--entries", str(tmp_path / "entries"), *board]) == 0
    printed = capsys.readouterr().out
    assert "owned" in printed
    assert not COMMANDS & set(printed)


def test_a_key_is_shown_whole_in_a_narrow_terminal() -> None:
    key = "0123456789abcdef" * 4
    check = Check(name="signature", verdict=Verdict.PASSED, detail=f"by {key}")
    verification = Verification(
        protocol="p-v1", scoring=1, checks=[check], complete=True, rerun=0, scores={}
    )
    shown = io.StringIO()
    show(Console(file=shown, width=60), SimpleNamespace(key="p-v1"), verification)  # type: ignore[arg-type]
    assert key in "".join(
        line.split("│")[3].strip() for line in shown.getvalue().splitlines() if "│" in line
    )
