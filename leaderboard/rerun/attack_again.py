"""Attacking an observation again with the submitted class."""

from __future__ import annotations

import os
import signal
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gifd_bench.leaderboard.rerun import child, seccomp
from gifd_bench.leaderboard.rerun.answer import RerunAnswer, most_bytes, read_answer
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunImpossible, RerunRefused
from gifd_bench.leaderboard.rerun.job import RerunJob, RerunLimits
from gifd_bench.leaderboard.rerun.oracle import running_oracle
from gifd_bench.leaderboard.rerun.process import STARTUP_SECONDS, Bounds, Transcript, watch
from gifd_bench.leaderboard.rerun.sandbox import Sandbox
from gifd_bench.tasks.observation_file import load_observation

MOST_CHARACTERS = 600
# A shell's way to say by which signal a program was ended, which is also bubblewrap's.
SIGNALED = 128


def attack_again(observation: Path, job: RerunJob, limits: RerunLimits = RerunLimits()) -> RerunAnswer:
    """Run an attack in a process that holds the observation and nothing else.

    The process sees, read-only, Python with its installed packages, this project's packages except the
    leaderboard, the observation, the submitted file, and the weights of the prior. It sees no private
    images, no network, and no other process. It can write no file, and start no process or thread. Its
    memory and time are limited, and it runs on one CPU core. It asks a process of the verifier for the
    victim's gradients, which computes and counts them, and stops at the budget.

    This cannot rule out one thing: the class also holds the victim's weights, as every attack does, and
    code that computes gradients with them itself is not counted. Only its time limits it.

    Args:
        observation: a file that `gifd_bench.tasks.save_observation` wrote: the verifier's own, not that of
            the submission.
        job: what to run.
        limits: the limits of what it may use.

    Raises:
        RerunRefused: there is no working bubblewrap; nothing of the submission has run.
        RerunImpossible: this version does not have the attack of the job, or it does not take its options.
        RerunFailed: the attack gave no valid answer, or asked for more evaluations than it may.
        TaskError: the observation is wrong.
    """
    target = load_observation(observation)
    bounds = Bounds(limits.seconds, most_bytes(target), limits.memory_bytes)
    at_start, afterwards = seccomp.programs()
    sandbox = Sandbox(observation, job, limits)
    with (
        _as_file(at_start) as filter_fd,
        _as_file(sandbox.arguments(filter_fd)) as arguments_fd,
        running_oracle(observation, job.most) as oracle,
    ):
        command, text = sandbox.command(arguments_fd), sandbox.job_text(oracle, afterwards)
        passed = (filter_fd, arguments_fd, oracle.reading, oracle.writing)
        transcript = watch(command, passed, text, child.READY, bounds)
        # One that is stopped in the middle of a question may have no end to wait for.
        spent = None if transcript.late else oracle.spent()
    if transcript.started is None:
        raise RerunRefused(f"rerun: the sandbox did not start ({_why_not_started(transcript)})")
    if transcript.flooded:
        raise RerunFailed(f"the attack wrote more than an answer has ({most_bytes(target)} bytes)")
    if transcript.greedy:
        raise RerunFailed(f"the attack took more than its {limits.memory_gib:g} GiB of memory")
    if spent is None:
        raise RerunFailed(f"the attack ran past its {limits.seconds:g} s")
    if spent.refused is not None:
        raise RerunFailed(f"the attack asked for {spent.refused}")
    if job.source is None and transcript.status == child.NOT_MADE:
        raise RerunImpossible(
            f"this version of gifd-bench cannot make the attack ({_last_line(transcript.said)})"
        )
    if transcript.status != 0:
        raise RerunFailed(f"the attack {_what_it_did(transcript)}")
    answer = read_answer(bytes(transcript.answer), target, spent.evaluations, transcript.seconds)
    if spent.evaluations < 1:
        raise RerunFailed("the attack asked for no gradient evaluation")
    return answer


@contextmanager
def _as_file(content: bytes) -> Iterator[int]:
    """The descriptor of a file in memory, at its start."""
    descriptor = os.memfd_create("rerun")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _why_not_started(transcript: Transcript) -> str:
    if transcript.late:
        return f"not ready after {STARTUP_SECONDS:g} s"
    said = _last_line(transcript.said)
    if said.startswith("bwrap:"):
        return f"{said}; needed are bubblewrap 0.5 or newer and a kernel that lets users make namespaces"
    return said or f"status {transcript.status}"


def _what_it_did(transcript: Transcript) -> str:
    said = _last_line(transcript.said)
    if transcript.status == child.SAID:
        return said or "said nothing"
    number = transcript.status - SIGNALED
    name = signal.Signals(number).name if number in set(signal.Signals) else None
    how = f"was ended by {name}" if name else f"ended with status {transcript.status}"
    return f"{how}: {said}" if said else how


def _last_line(text: bytearray) -> str:
    """The last line of a stranger's text, shortened and without control characters."""
    lines = text.decode("utf-8", "replace").strip().splitlines() or [""]
    shown = "".join(c if not unicodedata.category(c).startswith("C") else " " for c in lines[-1])
    return " ".join(shown.split())[:MOST_CHARACTERS]
