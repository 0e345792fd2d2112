"""A process that may do anything, with limits for its time and its output."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# Python and torch come up in seconds on an idle machine.
STARTUP_SECONDS = 300.0
MOST_SAID = 4096
CHUNK = 1 << 16
# Between two looks at the memory that is held.
LOOK_SECONDS = 0.25
# How long a process that reports nothing any more may take to end by itself.
ENDING_SECONDS = 5.0
# What of a process counts as its memory: everything except files of the machine, which the kernel drops
# when memory is short.
HELD = ("RssAnon:", "RssShmem:")


@dataclass(frozen=True)
class JobBounds:
    """The limits of a job.

    Attributes:
        seconds: wall-clock time, once it is ready.
        answer_bytes: the bytes that it may write.
        memory_bytes: the memory that the watched process and all its children may hold, in addition to what
            they held when it was ready.
    """

    seconds: float
    answer_bytes: int
    memory_bytes: int


@dataclass(frozen=True)
class Ends:
    """Descriptors from which is read what a job writes.

    Attributes:
        answer: the byte that says it is ready, and its answer.
        said: what it says to people.
        status: its exit status as a decimal number, from whoever waits for its end.
    """

    answer: int
    said: int
    status: int


@dataclass
class Transcript:
    """What a job did.

    Attributes:
        answer: its answer.
        said: the end of what it said.
        started: when it was ready, by `time.monotonic`; `None` if it never was.
        ended: when it ended, by `time.monotonic`.
        late: whether it was killed because it was not ready, or not done, in time.
        flooded: whether it was killed because of the length of its answer.
        greedy: whether it was killed because of the memory that it and its children held.
        alone: whether the watched process ended without reporting a status.
        status: its exit status, as in `subprocess`, or that of the watched process, which was killed or
            ended alone.
    """

    answer: bytearray = field(default_factory=bytearray)
    said: bytearray = field(default_factory=bytearray)
    started: float | None = None
    ended: float = 0.0
    late: bool = False
    flooded: bool = False
    greedy: bool = False
    alone: bool = False
    status: int = 0

    @property
    def seconds(self) -> float:
        """The seconds from being ready to the end."""
        return 0.0 if self.started is None else self.ended - self.started

    @property
    def killed(self) -> bool:
        """Whether it went out of its bounds."""
        return self.late or self.flooded or self.greedy


def watch(process: subprocess.Popen[bytes], ends: Ends, ready: bytes, bounds: JobBounds) -> Transcript:
    """Wait for the end of a job, and kill everything when it exceeds its limits.

    Args:
        process: the process in which the job runs, or whose descendant runs it. All of them end when it is
            killed.
        ends: what the job writes; nobody else writes there.
        ready: the byte that it writes when its time begins.
        bounds: the limits of what it may use from then on.
    """
    transcript, status = Transcript(), bytearray()
    try:
        _listen(process, ends, transcript, status, ready, bounds)
        transcript.ended = time.monotonic()
    except BaseException:
        process.kill()
        raise
    if transcript.killed:
        process.kill()
        transcript.status = process.wait()
    elif status:
        transcript.status = int(status)
    else:
        transcript.alone = True
        transcript.status = end(process)
    return transcript


def end(process: subprocess.Popen[bytes]) -> int:
    """The status of a process that is about to end, which is killed if it does not."""
    try:
        return process.wait(ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _listen(
    process: subprocess.Popen[bytes],
    ends: Ends,
    transcript: Transcript,
    status: bytearray,
    ready: bytes,
    bounds: JobBounds,
) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    memory: _Memory | None = None
    with selectors.DefaultSelector() as selector:
        for descriptor, text in (
            (ends.answer, transcript.answer),
            (ends.said, transcript.said),
            (ends.status, status),
        ):
            selector.register(descriptor, selectors.EVENT_READ, text)
        # What a job writes can be closed by a job that goes on, so its status is waited for too.
        while selector.get_map():
            for key, _ in selector.select(_until(deadline)):
                try:
                    chunk = os.read(key.fd, CHUNK)
                except ConnectionResetError:
                    # The other end of the socket was closed, with a job in it that nobody had received.
                    chunk = b""
                key.data.extend(chunk)
                # A status is one message, and others may follow for other jobs.
                if not chunk or key.fd == ends.status:
                    selector.unregister(key.fd)
            del transcript.said[:-MOST_SAID]
            if memory is None and transcript.answer.startswith(ready):
                del transcript.answer[: len(ready)]
                transcript.started = time.monotonic()
                deadline = transcript.started + bounds.seconds
                memory = _Memory(process.pid, bounds.memory_bytes)
            transcript.greedy = memory is not None and memory.is_exceeded()
            transcript.flooded = len(transcript.answer) > bounds.answer_bytes
            transcript.late = time.monotonic() >= deadline
            if transcript.killed:
                return


def _until(deadline: float) -> float:
    return min(LOOK_SECONDS, max(0.0, deadline - time.monotonic()))


class _Memory:
    """Watches the memory that a process and its children hold.

    A limit of a process ends with the process, and starts anew in each child. What a new process shares
    with the one that made it counts for both from the start, and is not counted again when it is copied.

    Args:
        pid: the id of the process.
        most: the largest number of bytes, in addition to what is held now.
    """

    def __init__(self, pid: int, most: int) -> None:
        self._process, self._looked = psutil.Process(pid), 0.0
        self._most = most + self._held()

    def is_exceeded(self) -> bool:
        """Whether more is held; it looks only if it is time to."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        return self._held() > self._most

    def _held(self) -> int:
        total = 0
        with suppress(psutil.Error):
            for process in (self._process, *self._process.children(recursive=True)):
                total += _held_by(process.pid)
        return total


def _held_by(pid: int) -> int:
    """The bytes that a process holds; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(HELD))
