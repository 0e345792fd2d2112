"""Processes that go out of bounds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gifd_bench.leaderboard.rerun import process
from gifd_bench.leaderboard.rerun.process import Transcript, watch


def run(script: str, seconds: float = 30.0, most: int = 1000) -> Transcript:
    return watch(["/bin/sh", "-c", script], [], b"+", seconds, most)


def test_answer_words_and_status_are_kept_apart() -> None:
    heard = run("echo hm >&2; printf '+answer'; echo oh dear >&2; exit 7")
    assert heard.answer == b"answer"
    assert heard.said == b"hm\noh dear\n"
    assert heard.status == 7
    assert heard.started is not None
    assert not heard.late
    assert not heard.flooded


def test_one_that_is_never_ready_has_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("echo no").started is None
    monkeypatch.setattr(process, "STARTUP_SECONDS", 0.2)
    heard = run("exec sleep 60")
    assert heard.started is None
    assert heard.late


@pytest.mark.parametrize(
    "script",
    [
        "printf +; exec sleep 60",
        # Nobody can be heard any more, but it goes on.
        "printf +; exec sleep 60 >&- 2>&-",
        "printf +; trap '' TERM; while :; do :; done",
        # Never silent, so that waiting for silence would never end.
        "printf +; while :; do echo and >&2; done",
    ],
)
def test_one_that_is_not_done_in_time_is_killed(script: str) -> None:
    heard = run(script, seconds=0.3)
    assert heard.late
    assert heard.status == -9
    assert 0.3 <= heard.seconds < 10
    assert len(heard.said) <= process.MOST_SAID


def test_one_that_answers_without_end_is_killed_and_little_of_it_is_kept() -> None:
    heard = run("printf +; exec cat /dev/zero")
    assert heard.flooded
    assert not heard.late
    assert heard.status == -9
    assert len(heard.answer) <= 1000 + process.CHUNK


def test_nothing_of_the_environment_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "xyzzy")
    command = [sys.executable, "-c", "import os; print('+' + os.environ.get('API_KEY', 'none'))"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"+xyzzy\n"
    assert watch(command, [], b"+", 30, 1000).answer == b"none\n"
