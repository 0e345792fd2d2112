"""Nothing that comes from outside commands the terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.live import Live
from rich.table import Table

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.common.terminal import printable
from gifd_bench.tasks.observation import Observation
from tests.benchmark.helpers import write_config
from tests.tasks.test_observation_limits import claimed

# A new title, a cleared screen, a question that the terminal answers, C1, and a text turned around.
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[6n\x9b31m\u202egnp"
COMMANDS = {"\x1b", "\x07", "\x9b", "\u202e", "\x00", "\x7f"}


def test_control_characters_become_pictures_and_all_else_stays() -> None:
    assert printable(HOSTILE + "\0\x7f") == "␛]0;owned␇␛[2J␛[6n\ufffd31m\ufffdgnp␀␡"
    for text in ("Käfer, 甲虫, 🐞", "a\tb\nc", ""):
        assert printable(text) == text


@pytest.mark.parametrize("colors", [True, False])
def test_a_table_and_a_live_display_pass_their_own_colors_alone(colors: bool) -> None:
    out = io.StringIO()
    console = Terminal(
        file=out, force_terminal=colors, width=100, color_system="standard" if colors else None
    )
    table = Table()
    table.add_column(HOSTILE)
    table.add_row(f"[red]{HOSTILE}[/red]")
    console.print(table)
    console.print(HOSTILE, markup=False)
    with Live(table, console=console, auto_refresh=False):
        pass
    text = out.getvalue()
    assert "owned" in text
    assert "\x1b]0" not in text
    assert "\x1b[6n" not in text
    assert "\x1b[2J" not in text
    if not colors:
        assert not COMMANDS & set(text)


def test_class_names_and_names_of_files_from_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rename(facts: dict[str, object]) -> None:
        names = facts["class_names"]
        assert isinstance(names, list)
        facts["class_names"] = [HOSTILE] * len(names)

    path = claimed(tmp_path / f"{HOSTILE}.safetensors", rename)
    command = ["attack", str(path), "--attack", "ig", "--attack.iterations=1"]
    assert cli([*command, "--output", str(tmp_path / HOSTILE)]) == 0
    printed = capsys.readouterr()
    assert "owned" in printed.out
    assert not COMMANDS & set(printed.out + printed.err)
    path.write_bytes(b"damaged")
    assert cli([*command, "--output", str(tmp_path / "other")]) == 2
    printed = capsys.readouterr()
    assert "owned" in printed.err
    assert not COMMANDS & set(printed.out + printed.err)


@pytest.mark.slow
def test_a_reason_and_a_damaged_file_in_every_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.py").write_text(
        "from gifd_bench.benchmark.attacks.ig import IG\n"
        "class Bad(IG):\n"
        '    """Bad."""\n'
        "    def render(self, search):\n"
        f"        raise ValueError({HOSTILE!r})\n"
    )
    config = write_config(tmp_path, attacks={"bad": {"use": "bad.py:Bad"}}, defenses={"none": None})
    out = str(tmp_path / "out")
    assert cli(["run", str(config), "--output", out]) == 1
    for form in ("table", "json", "csv", "markdown"):
        cli(["show", out, "--format", form])
    cli(["status", out])
    cli(["report", out, "--format", "markdown"])
    printed = capsys.readouterr()
    assert "owned" in printed.out
    assert not COMMANDS & set(printed.out + printed.err)


def test_an_observation_is_described_without_its_commands(
    observation: Observation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    observation.save(tmp_path / f"{HOSTILE}.other")
    assert cli(["observe", "--check", str(tmp_path / f"{HOSTILE}.other")]) in (0, 1, 2)
    assert cli(["observe", "--check", str(tmp_path / f"{HOSTILE}.safetensors")]) == 2
    printed = capsys.readouterr()
    assert not COMMANDS & set(printed.out + printed.err)
