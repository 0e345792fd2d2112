"""Attacking observations again with a submitted class, one after another."""

from __future__ import annotations

import os
import signal
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gifd_bench.leaderboard.rerun import child
from gifd_bench.leaderboard.rerun.answer import RerunAnswer, most_bytes, read_answer
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunImpossible, RerunRefused
from gifd_bench.leaderboard.rerun.job import RerunJob, RerunLimits, Submitted
from gifd_bench.leaderboard.rerun.oracle import OracleProcess
from gifd_bench.leaderboard.rerun.process import STARTUP_SECONDS, Ends, JobBounds, Transcript, watch
from gifd_bench.leaderboard.rerun.sandbox import Sandbox, SandboxProcess, as_file
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import load_observation

MOST_CHARACTERS = 600
# A shell's way to say by which signal a program was ended, which is also bubblewrap's.
SIGNALED = 128


class SandboxRunner:
    """A sandbox for the attacks of one submission, and a process of the verifier beside it.

    The sandbox shows, read-only, Python with its installed packages, this project's packages except the
    leaderboard, the submitted file, and the weights of the prior. Each attack runs in a process of its own,
    which is given one observation. It sees no private images, no network, no other process, and nothing of
    another observation. It can write no file, and start no process or thread. Its memory and time are
    limited, and it runs on one CPU core. It asks the process of the verifier for the victim's gradients,
    which computes and counts them, and stops at the budget.

    Both start with the first attack, and serve those that follow, since importing torch and all attacks
    takes longer than many attacks. After an attack that went wrong, both are ended, and start anew with the
    next one.

    The victim's weights stay with that process too. On a public track they follow from a seed that
    everybody knows, so code that builds the victim again and differentiates it itself is not counted there;
    only its time limits it. Those of secret twins and of blind tracks follow from secret seeds.

    On Linux, both end with the thread that started them.

    Args:
        submitted: what the attacks share.
        limits: the limits of what each of them may use.
    """

    def __init__(self, submitted: Submitted, limits: RerunLimits) -> None:
        self._submitted, self._limits = submitted, limits
        self._pair: _Pair | None = None

    def attack(self, observation: Path, job: RerunJob) -> RerunAnswer:
        """Attack an observation.

        Args:
            observation: a file that `gifd_bench.tasks.save_observation` wrote: the verifier's own, not that
                of the submission.
            job: the attack.

        Raises:
            RerunRefused: there is no working bubblewrap; nothing of the submission has run.
            RerunImpossible: this version does not have the attack of the job, or it does not take its
                options.
            RerunFailed: the attack gave no valid answer, or asked for more evaluations than it may.
            TaskError: the observation is wrong.
        """
        target = load_observation(observation)
        try:
            if self._pair is None:
                sandbox = Sandbox(self._submitted, self._limits)
                self._pair = _Pair(sandbox, sandbox.start(), OracleProcess())
            return self._answer(self._pair, observation, target, job)
        except BaseException:
            self._end(at_once=True)
            raise

    def close(self) -> None:
        """End both processes."""
        self._end(at_once=False)

    def _end(self, at_once: bool) -> None:
        pair, self._pair = self._pair, None
        if pair is not None:
            pair.running.close(at_once)
            pair.oracle.close()

    def _answer(self, pair: _Pair, observation: Path, target: Observation, job: RerunJob) -> RerunAnswer:
        limits = self._limits
        bounds = JobBounds(limits.seconds, most_bytes(target), limits.memory_bytes)
        with pair.handed(observation, job) as ends:
            transcript = watch(pair.running.process, ends, child.READY, bounds)
        if transcript.started is None:
            why = _why_not_started(transcript, pair.running.said())
            raise RerunRefused(f"rerun: the sandbox did not start ({why})")
        if transcript.flooded:
            raise RerunFailed(f"the attack wrote more than an answer has ({most_bytes(target)} bytes)")
        if transcript.greedy:
            raise RerunFailed(f"the attack took more than its {limits.memory_gib:g} GiB of memory")
        if transcript.late:
            # Stopped in the middle of a question, which may have no end to wait for.
            raise RerunFailed(f"the attack ran past its {limits.seconds:g} s")
        spent = pair.oracle.spent()
        if spent.refused is not None:
            raise RerunFailed(f"the attack asked for {spent.refused}")
        if self._submitted.source is None and transcript.status == child.NOT_MADE:
            raise RerunImpossible(
                f"this version of gifd-bench cannot make the attack ({_last_line(transcript.said)})"
            )
        if transcript.alone:
            raise RerunFailed(f"the sandbox ended before the attack ({_what_it_did(transcript)})")
        if transcript.status != 0:
            raise RerunFailed(f"the attack {_what_it_did(transcript)}")
        answer = read_answer(bytes(transcript.answer), target, spent.evaluations, transcript.seconds)
        if spent.evaluations < 1:
            raise RerunFailed("the attack asked for no gradient evaluation")
        return answer


@dataclass(frozen=True)
class _Pair:
    """A sandbox that runs, and the oracle of its attacks."""

    sandbox: Sandbox
    running: SandboxProcess
    oracle: OracleProcess

    @contextmanager
    def handed(self, observation: Path, job: RerunJob) -> Iterator[Ends]:
        """Hand over a job; what it writes can be read within the block."""
        answer, said = os.pipe(), os.pipe()
        try:
            text = self.sandbox.job_text(job, self.running.filter_)
            with self.oracle.serving(observation, job.most) as (reading, writing), as_file(text) as job_fd:
                self.running.hand([job_fd, reading, writing, answer[1], said[1]])
            # What only the job writes to ends with it.
            os.close(answer[1])
            os.close(said[1])
            yield Ends(answer[0], said[0], self.running.control.fileno())
        finally:
            os.close(answer[0])
            os.close(said[0])


def _why_not_started(transcript: Transcript, said: bytearray) -> str:
    if transcript.late:
        return f"not ready after {STARTUP_SECONDS:g} s"
    words = _last_line(transcript.said) or _last_line(said)
    if words.startswith("bwrap:"):
        return f"{words}; needed are bubblewrap 0.5 or newer and a kernel that lets users make namespaces"
    return words or f"status {transcript.status}"


def _what_it_did(transcript: Transcript) -> str:
    said = _last_line(transcript.said)
    if transcript.status == child.SAID:
        return said or "said nothing"
    # The sandbox's own status is bubblewrap's, and that of a job is as in `subprocess`.
    number = transcript.status - SIGNALED if transcript.alone else -transcript.status
    name = signal.Signals(number).name if number in set(signal.Signals) else None
    how = f"was ended by {name}" if name else f"ended with status {transcript.status}"
    return f"{how}: {said}" if said else how


def _last_line(text: bytearray) -> str:
    """The last line of a stranger's text, shortened and without control characters."""
    lines = text.decode("utf-8", "replace").strip().splitlines() or [""]
    shown = "".join(c if not unicodedata.category(c).startswith("C") else " " for c in lines[-1])
    return " ".join(shown.split())[:MOST_CHARACTERS]
