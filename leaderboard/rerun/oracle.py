"""The verifier's process that computes the victim's gradients for a submitted class, and counts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from gifd_bench.benchmark.oracle.answering import Answering, BudgetSpent
from gifd_bench.benchmark.oracle.channel import Channel, ChannelClosed
from gifd_bench.common.threads import operation_threads
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunRefused
from gifd_bench.tasks.observation_file import load_observation

# A question's header; what it may ask is bounded by its lanes.
MOST_BYTES = 1 << 28
CLOSING_SECONDS = 30.0


@dataclass(frozen=True)
class Spent:
    """What an attack asked of its oracle.

    Attributes:
        evaluations: the gradient evaluations that were computed.
        refused: what was asked for beyond the budget, in words; `None` if nothing was.
    """

    evaluations: int
    refused: str | None


@dataclass
class OracleProcess:
    """An oracle that runs.

    Attributes:
        reading, writing: the descriptors for the submitted class.
    """

    reading: int
    writing: int
    _process: subprocess.Popen[bytes]

    def spent(self) -> Spent:
        """What was asked for, after the process that asked has ended.

        Raises:
            RerunFailed: the oracle does not report it.
        """
        self.close()
        try:
            said, _ = self._process.communicate(timeout=CLOSING_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise RerunFailed("the attack's last question to the gradient oracle had no end") from error
        if self._process.returncode != 0:
            status = self._process.returncode
            raise RerunFailed(f"the gradient oracle ended with status {status} on the attack's questions")
        return Spent(**json.loads(said))

    def close(self) -> None:
        """Close this process's copies of the descriptors; the oracle then notices when its asker ends."""
        for descriptor in (self.reading, self.writing):
            if descriptor >= 0:
                os.close(descriptor)
        self.reading = self.writing = -1


@contextmanager
def running_oracle(observation: Path, most: int) -> Iterator[OracleProcess]:
    """An oracle of an observation, which ends with the block.

    Args:
        observation: a file of the verifier.
        most: the largest number of gradient evaluations.

    Raises:
        RerunRefused: it cannot be started.
    """
    questions, answers = os.pipe(), os.pipe()
    command = [sys.executable, "-m", __name__, str(observation), str(most)]
    try:
        process = subprocess.Popen(
            [*command, str(questions[0]), str(answers[1])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=(questions[0], answers[1]),
        )
    except OSError as error:
        raise RerunRefused(f"rerun: the gradient oracle does not start ({error})") from error
    finally:
        os.close(questions[0])
        os.close(answers[1])
    oracle = OracleProcess(answers[0], questions[1], process)
    try:
        yield oracle
    finally:
        oracle.close()
        process.kill()
        process.wait()


def main(arguments: list[str]) -> None:
    """Answer, and then write to standard output how much was asked for."""
    observation, most, reading, writing = arguments
    refused = None
    with operation_threads(1):
        answering = Answering(load_observation(Path(observation)), int(most))
        try:
            answering.serve(Channel(int(reading), int(writing), MOST_BYTES))
        except BudgetSpent as error:
            refused = str(error)
        except ChannelClosed:
            # The asker ended before it was answered.
            pass
    print(json.dumps(asdict(Spent(answering.evaluations, refused))))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
