"""Attacking an observation again with the submitted class."""

from __future__ import annotations

import os
import signal
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gifd_bench.leaderboard.rerun import child, seccomp
from gifd_bench.leaderboard.rerun.answer import Answer, most_bytes, read_answer
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunImpossible, RerunRefused
from gifd_bench.leaderboard.rerun.oracle import running_oracle
from gifd_bench.leaderboard.rerun.order import Order, RerunLimits
from gifd_bench.leaderboard.rerun.process import STARTUP_SECONDS, Bounds, Transcript, watch
from gifd_bench.leaderboard.rerun.sandbox import Sandbox
from gifd_bench.tasks.observation_file import load_observation

MOST_CHARACTERS = 600
# A shell's way to say by which signal a program was ended, which is also bubblewrap's.
SIGNALED = 128


def attack_again(observation: Path, order: Order, limits: RerunLimits = RerunLimits()) -> Answer:
    """Run an attack in a process that holds the observation and nothing else.

    The process sees, read-only, Python with its installed packages, this project's packages but the
    leaderboard, the observation, the submitted file, and the prior's weights. It sees no private images, no
    network, and no other process; it can write no file and start no process or thread; its memory and time
    are limited. It runs on one CPU core. The victim's gradients are computed, counted and stopped at the
    budget by a process of the verifier's, which it asks.

    What this cannot rule out: the class also holds the victim's weights, as every attack does, and code
    that computes gradients with them itself is not counted. It is bounded by its time alone.

    Args:
        observation: a file that `gifd_bench.tasks.save_observation` wrote: one's own, not the submission's.
        order: what to run.
        limits: of what it may use.

    Raises:
        RerunRefused: there is no working bubblewrap; nothing of the submission has run.
        RerunImpossible: the order's attack is none of this version, or does not take its options.
        RerunFailed: the attack gave no valid answer, or asked for more evaluations than it may.
        TaskError: the observation is wrong.
    """
    target = load_observation(observation)
    bounds = Bounds(limits.seconds, most_bytes(target), limits.memory_bytes)
    at_start, afterwards = seccomp.programs()
    sandbox = Sandbox(observation, order, limits)
    with (
        _as_file(at_start) as filter_fd,
        _as_file(sandbox.arguments(filter_fd)) as arguments_fd,
        running_oracle(observation, order.most) as oracle,
    ):
        command, text = sandbox.command(arguments_fd), sandbox.order_text(oracle, afterwards)
        passed = (filter_fd, arguments_fd, oracle.reading, oracle.writing)
        heard = watch(command, passed, text, child.READY, bounds)
        # One that is stopped in the middle of a question may have no end to wait for.
        spent = None if heard.late else oracle.spent()
    if heard.started is None:
        raise RerunRefused(f"rerun: the sandbox did not start ({_why_not_started(heard)})")
    if heard.flooded:
        raise RerunFailed(f"the attack wrote more than an answer has ({most_bytes(target)} bytes)")
    if heard.greedy:
        raise RerunFailed(f"the attack took more than its {limits.memory_gib:g} GiB of memory")
    if spent is None:
        raise RerunFailed(f"the attack ran past its {limits.seconds:g} s")
    if spent.refused is not None:
        raise RerunFailed(f"the attack asked for {spent.refused}")
    if order.source is None and heard.status == child.NOT_MADE:
        raise RerunImpossible(
            f"this version of gifd-bench cannot make the attack ({_last_line(heard.said)})"
        )
    if heard.status != 0:
        raise RerunFailed(f"the attack {_what_it_did(heard)}")
    answer = read_answer(bytes(heard.answer), target, spent.evaluations, heard.seconds)
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


def _why_not_started(heard: Transcript) -> str:
    if heard.late:
        return f"not ready after {STARTUP_SECONDS:g} s"
    said = _last_line(heard.said)
    if said.startswith("bwrap:"):
        return f"{said}; needed are bubblewrap 0.5 or newer and a kernel that lets users make namespaces"
    return said or f"status {heard.status}"


def _what_it_did(heard: Transcript) -> str:
    said = _last_line(heard.said)
    if heard.status == child.SAID:
        return said or "said nothing"
    number = heard.status - SIGNALED
    name = signal.Signals(number).name if number in set(signal.Signals) else None
    how = f"was ended by {name}" if name else f"ended with status {heard.status}"
    return f"{how}: {said}" if said else how


def _last_line(text: bytearray) -> str:
    """The last line of a stranger's text, short and without characters that do something."""
    lines = text.decode("utf-8", "replace").strip().splitlines() or [""]
    shown = "".join(c if not unicodedata.category(c).startswith("C") else " " for c in lines[-1])
    return " ".join(shown.split())[:MOST_CHARACTERS]
