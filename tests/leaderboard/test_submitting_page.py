"""The page on submitting, followed word by word, but for the number of iterations."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gifd_bench.leaderboard.cli import COMMANDS
from tests.leaderboard.sandbox import sandbox_missing

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "submitting.md").read_text()
EXAMPLE_ATTACK = """
import numpy as np

def my_attack(observation):
    return np.full((1, 3, 32, 32), 0.5, np.float32), np.array([3]), 1
"""


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the attack of the other page and the page's about.yaml."""
    folder = tmp_path_factory.mktemp("newcomer")
    (attack,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "writing-an-attack.md").read_text(), re.DOTALL
    )
    (about,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (folder / "coarse.py").write_text(attack)
    (folder / "about.yaml").write_text(about)
    return folder


def follow(folder: Path, line: str) -> None:
    """Run a line of the page as a newcomer does, in a process of its own."""
    words = line.removeprefix("gifd-bench ").replace("=750", "=5").split()
    if sandbox_missing() and "--rerun" in words:
        del words[words.index("--rerun") :][:2]
    ended = subprocess.run(
        [sys.executable, "-m", "gifd_bench", *words],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_an_attack_of_ones_own_comes_to_be_on_the_board(newcomer: Path) -> None:
    page = PAGE.split("## From an attack written for gifd-bench")[1].split("\n## ")[0]
    lines = re.findall(r"^    (gifd-bench .*)$", page, re.MULTILINE)
    verbs = [line.split()[2] for line in lines if line.startswith("gifd-bench leaderboard")]
    assert verbs == ["export", "attack", "key", "submit", "verify", "accept", "build"]
    for line in lines:
        follow(newcomer, line)
    board = (newcomer / "board" / "photos-v1.html").read_text()
    assert "coarse" in board
    standing = "self-reported" if sandbox_missing() else "verified"
    # Beside those that the board has of its own.
    entries = json.loads((newcomer / "board" / "photos-v1.json").read_text())["entries"]
    (entry,) = [entry for entry in entries if entry["about"]["attack"] == "coarse"]
    assert entry["standing"] == standing


@pytest.mark.slow
def test_another_code_base_writes_a_submission_with_the_pages_lines(newcomer: Path) -> None:
    if not (newcomer / "photos-v1").is_dir():
        follow(newcomer, "gifd-bench leaderboard export photos-v1 --output photos-v1")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert (
        len([line for line in code.splitlines() if line and not line.startswith(("import", "from"))]) <= 20
    )
    (newcomer / "elsewhere.py").write_text(EXAMPLE_ATTACK + code)
    ended = subprocess.run(
        [sys.executable, "elsewhere.py"], cwd=newcomer, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    follow(newcomer, "gifd-bench leaderboard verify submissions/mine --observations photos-v1")


def test_the_workflow_uses_commands_that_there_are() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "submission.yml").read_text())
    steps = "\n".join(step.get("run", "") for step in workflow["jobs"]["verify"]["steps"])
    verbs = re.findall(r"gifd-bench leaderboard (\w+)", steps)
    assert verbs == ["preview"]
    assert set(verbs) <= COMMANDS.keys()
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "submission.yml").read_text())
    (protocols,) = (part for part in form["body"] if part.get("id") == "protocol")
    bundled = {path.stem for path in (ROOT / "leaderboard" / "protocols").glob("*.yaml")}
    assert set(protocols["attributes"]["options"]) == bundled
