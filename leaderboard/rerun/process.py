"""A process that may do anything, with limits for its time and its output."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

# Python and torch come up in seconds on an idle machine.
STARTUP_SECONDS = 300.0
MOST_SAID = 4096
CHUNK = 1 << 16
# Between two looks at the memory that is held.
LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Bounds:
    """The limits of a process.

    Attributes:
        seconds: wall-clock time, once it is ready.
        answer_bytes: the bytes that it may write.
        memory_bytes: the memory that it and all its children may hold, in addition to what they held when
            it was ready.
    """

    seconds: float
    answer_bytes: int
    memory_bytes: int


@dataclass
class Transcript:
    """What a process did.

    Attributes:
        answer: what it wrote to standard output after the byte that says it is ready.
        said: the end of what it wrote to standard error.
        started: the time of that byte, by `time.monotonic`; `None` if it did not come.
        ended: the time when the process ended, by `time.monotonic`.
        late: whether it was killed because it was not ready, or not done, in time.
        flooded: whether it was killed because of the length of its answer.
        greedy: whether it was killed because of the memory that it and its children held.
        status: the exit status, as in `subprocess`.
    """

    answer: bytearray = field(default_factory=bytearray)
    said: bytearray = field(default_factory=bytearray)
    started: float | None = None
    ended: float = 0.0
    late: bool = False
    flooded: bool = False
    greedy: bool = False
    status: int = 0

    @property
    def seconds(self) -> float:
        """The seconds from being ready to the end."""
        return 0.0 if self.started is None else self.ended - self.started


def watch(
    command: Sequence[str], pass_fds: Sequence[int], text: bytes, ready: bytes, bounds: Bounds
) -> Transcript:
    """Run a command without an environment, and kill it when it exceeds its limits.

    Args:
        command: a command that ends all of its processes when it is killed.
        pass_fds: descriptors of files that it reads.
        text: its standard input.
        ready: the byte that it writes when its time begins.
        bounds: the limits of what it may use from then on.
    """
    transcript = Transcript()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=pass_fds,
        # Else the first process of the sandbox would show it, in /proc/1/environ.
        env={},
        cwd="/",
        start_new_session=True,
    ) as process:
        try:
            _tell(process, text)
            _listen(process, transcript, ready, bounds)
        finally:
            process.kill()
            transcript.ended = transcript.ended or time.monotonic()
            transcript.status = process.wait()
    return transcript


def _tell(process: subprocess.Popen[bytes], text: bytes) -> None:
    assert process.stdin is not None
    # One that has ended already says why by itself.
    with suppress(BrokenPipeError), process.stdin:
        process.stdin.write(text)


def _listen(process: subprocess.Popen[bytes], transcript: Transcript, ready: bytes, bounds: Bounds) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    memory: _Memory | None = None
    with selectors.DefaultSelector() as selector:
        for pipe, text in ((process.stdout, transcript.answer), (process.stderr, transcript.said)):
            assert pipe is not None
            selector.register(pipe, selectors.EVENT_READ, text)
        # Both streams can be closed by a process that goes on.
        while selector.get_map() or process.poll() is None:
            for key, _ in selector.select(_until(deadline)) if selector.get_map() else ():
                chunk = os.read(key.fd, CHUNK)
                key.data.extend(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
            if not selector.get_map():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_until(deadline))
            del transcript.said[:-MOST_SAID]
            if memory is None and transcript.answer.startswith(ready):
                del transcript.answer[: len(ready)]
                transcript.started = time.monotonic()
                deadline = transcript.started + bounds.seconds
                memory = _Memory(process.pid, bounds.memory_bytes)
            transcript.greedy = memory is not None and memory.is_exceeded()
            transcript.flooded = len(transcript.answer) > bounds.answer_bytes
            transcript.late = time.monotonic() >= deadline
            if transcript.flooded or transcript.greedy or transcript.late:
                return
    transcript.ended = time.monotonic()


def _until(deadline: float) -> float:
    return min(LOOK_SECONDS, max(0.0, deadline - time.monotonic()))


class _Memory:
    """Watches the memory that a process and its children hold.

    A limit of a process ends with the process, and starts anew in each child.

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
                with suppress(psutil.Error):
                    total += process.memory_info().rss
        return total
