"""Processes that go out of bounds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest

from gifd_bench.leaderboard.rerun import process
from gifd_bench.leaderboard.rerun.process import Ends, JobBounds, Transcript, watch


def run(script: str, seconds: float = 30.0, memory: int = 1 << 30, status: bytes = b"") -> Transcript:
    """Watch a shell; a status that is reported is one that somebody else has waited for."""
    with ExitStack() as open_:
        (answer, to_answer), (said, to_said) = os.pipe(), os.pipe()
        for descriptor in (answer, said):
            open_.callback(os.close, descriptor)
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        open_.enter_context(control)
        with theirs:
            shell = subprocess.Popen(
                ["/bin/sh", "-c", script],
                stdout=to_answer,
                stderr=to_said,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
            )
            open_.enter_context(shell)
            open_.callback(shell.kill)
            if status:
                theirs.send(status)
        os.close(to_answer)
        os.close(to_said)
        return watch(shell, Ends(answer, said, control.fileno()), b"+", JobBounds(seconds, 1000, memory))


def test_answer_words_and_status_are_kept_apart() -> None:
    transcript = run("echo hm >&2; printf '+answer'; echo oh dear >&2; exit 7")
    assert transcript.answer == b"answer"
    assert transcript.said == b"hm\noh dear\n"
    assert transcript.status == 7
    assert transcript.started is not None
    assert not transcript.late
    assert not transcript.flooded


def test_one_that_is_never_ready_has_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("echo no").started is None
    monkeypatch.setattr(process, "STARTUP_SECONDS", 0.2)
    transcript = run("exec sleep 60")
    assert transcript.started is None
    assert transcript.late


@pytest.mark.parametrize(
    "script",
    [
        "printf +; exec sleep 60",
        # Nobody can be transcript any more, but it goes on.
        "printf +; exec sleep 60 >&- 2>&-",
        "printf +; trap '' TERM; while :; do :; done",
        # Never silent, so that waiting for silence would never end.
        "printf +; while :; do echo and >&2; done",
    ],
)
def test_one_that_is_not_done_in_time_is_killed(script: str) -> None:
    transcript = run(script, seconds=0.3)
    assert transcript.late
    assert transcript.status == -9
    assert 0.3 <= transcript.seconds < 10
    assert len(transcript.said) <= process.MOST_SAID


def test_one_that_answers_without_end_is_killed_and_little_of_it_is_kept() -> None:
    transcript = run("printf +; exec cat /dev/zero")
    assert transcript.flooded
    assert not transcript.late
    assert transcript.status == -9
    assert len(transcript.answer) <= 1000 + process.CHUNK


# Waits for its time to begin, and then fills memory, page by page.
GREEDY = (
    "import time; time.sleep(0.5); held = [bytearray(b'x') * (8 << 20) for _ in range(64)]; time.sleep(60)"
)


@pytest.mark.parametrize(
    "start",
    [
        "exec",
        # In a process of another's, which no limit of the first one reaches.
        "",
    ],
)
def test_one_that_holds_too_much_memory_is_killed_whoever_holds_it(start: str) -> None:
    script = f'printf +; {start} {sys.executable} -c "{GREEDY}"; exit 0'
    transcript = run(script, memory=100 << 20)
    assert transcript.greedy
    assert not transcript.late
    assert transcript.status == -9


def test_a_status_that_is_reported_is_the_job_s_and_the_process_may_go_on() -> None:
    transcript = run("printf +answer; exec sleep 60 >&- 2>&-", status=b"-9")
    assert transcript.status == -9
    assert transcript.answer == b"answer"
    assert not transcript.alone
    assert not transcript.killed


def test_one_that_ends_without_a_status_ended_alone() -> None:
    transcript = run("printf +; exit 7")
    assert transcript.alone
    assert transcript.status == 7
