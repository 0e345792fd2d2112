"""A process that may do anything: its time, and what it writes, within bounds."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

# Python and torch come up in seconds on an idle machine.
STARTUP_SECONDS = 300.0
MOST_SAID = 4096
CHUNK = 1 << 16


@dataclass
class Transcript:
    """What a process did.

    Attributes:
        answer: what it wrote to standard output after the byte that says it is ready.
        said: the end of what it wrote to standard error.
        started: when that byte came, `None` where it did not; as `time.monotonic` has it.
        ended: when the process ended, likewise.
        late: whether it was killed for not being ready, or not done, in time.
        flooded: whether it was killed for the length of its answer.
        status: as `subprocess` has it.
    """

    answer: bytearray = field(default_factory=bytearray)
    said: bytearray = field(default_factory=bytearray)
    started: float | None = None
    ended: float = 0.0
    late: bool = False
    flooded: bool = False
    status: int = 0

    @property
    def seconds(self) -> float:
        """From being ready to the end."""
        return 0.0 if self.started is None else self.ended - self.started


def watch(
    command: Sequence[str], pass_fds: Sequence[int], ready: bytes, seconds: float, most: int
) -> Transcript:
    """Run a command without input and environment, and kill it when it goes out of bounds.

    Args:
        command: that ends all of its processes when it is killed.
        pass_fds: of files that it reads.
        ready: the byte that it writes when its time begins.
        seconds: of wall time from then on.
        most: bytes of an answer.
    """
    transcript = Transcript()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=pass_fds,
        # Else the first process of the sandbox would show it, in /proc/1/environ.
        env={},
        cwd="/",
        start_new_session=True,
    ) as process:
        try:
            _listen(process, transcript, ready, seconds, most)
        finally:
            process.kill()
            transcript.ended = transcript.ended or time.monotonic()
            transcript.status = process.wait()
    return transcript


def _listen(
    process: subprocess.Popen[bytes], transcript: Transcript, ready: bytes, seconds: float, most: int
) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    with selectors.DefaultSelector() as selector:
        for pipe, text in ((process.stdout, transcript.answer), (process.stderr, transcript.said)):
            assert pipe is not None
            selector.register(pipe, selectors.EVENT_READ, text)
        while selector.get_map():
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                chunk = os.read(key.fd, CHUNK)
                key.data.extend(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
            del transcript.said[:-MOST_SAID]
            if transcript.started is None and transcript.answer.startswith(ready):
                del transcript.answer[: len(ready)]
                transcript.started = time.monotonic()
                deadline = transcript.started + seconds
            transcript.flooded = len(transcript.answer) > most
            transcript.late = time.monotonic() >= deadline
            if transcript.flooded or transcript.late:
                return
    # Both streams can be closed by a process that goes on.
    try:
        process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        transcript.late = True
    transcript.ended = time.monotonic()
