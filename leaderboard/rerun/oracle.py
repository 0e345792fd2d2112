"""The verifier's process that computes the victim's gradients for submitted classes, and counts them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gifd_bench.benchmark.oracle.answering import Answering, BudgetSpent
from gifd_bench.benchmark.oracle.channel import Channel, ChannelClosed
from gifd_bench.common.parent import end_with_parent
from gifd_bench.common.threads import operation_threads
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunRefused
from gifd_bench.leaderboard.rerun.process import end
from gifd_bench.tasks.observation_file import load_observation

# A question's header; what it may ask is bounded by its lanes.
MOST_BYTES = 1 << 28
CLOSING_SECONDS = 30.0
# An order or a report: a path and some numbers.
MOST_TEXT = 1 << 14


@dataclass(frozen=True)
class Spent:
    """What an attack asked of its oracle.

    Attributes:
        evaluations: the gradient evaluations that were computed.
        refused: what was asked for beyond the budget, in words; `None` if nothing was.
    """

    evaluations: int
    refused: str | None


class OracleProcess:
    """An oracle that runs, and serves one attack after another.

    Raises:
        RerunRefused: it cannot be started.
    """

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", __name__, str(os.getpid()), str(theirs.fileno())]
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # An interrupt from the terminal is for the verifier, with which it ends.
                    start_new_session=True,
                )
            except OSError as error:
                self._control.close()
                raise RerunRefused(f"rerun: the gradient oracle does not start ({error})") from error

    @contextmanager
    def serving(self, observation: Path, most: int) -> Iterator[tuple[int, int]]:
        """Let it serve an attack.

        Args:
            observation: a file of the verifier.
            most: the largest number of gradient evaluations.

        Yields:
            The descriptors from which the attack reads and to which it writes. They are closed after the
            block, so that the oracle notices when the attack ends.
        """
        questions, answers = os.pipe(), os.pipe()
        order = json.dumps([str(observation), most]).encode()
        try:
            # The attack notices if it has ended.
            with suppress(OSError):
                socket.send_fds(self._control, [order], [questions[0], answers[1]])
            os.close(questions[0])
            os.close(answers[1])
            yield answers[0], questions[1]
        finally:
            os.close(answers[0])
            os.close(questions[1])

    def spent(self) -> Spent:
        """What the attack asked for, after it has ended.

        Raises:
            RerunFailed: the oracle does not report it.
        """
        self._control.settimeout(CLOSING_SECONDS)
        try:
            said = self._control.recv(MOST_TEXT)
        except TimeoutError as error:
            raise RerunFailed("the attack's last question to the gradient oracle had no end") from error
        except ConnectionResetError:
            said = b""
        if not said:
            status = end(self._process)
            raise RerunFailed(f"the gradient oracle ended with status {status} on the attack's questions")
        return Spent(**json.loads(said))

    def close(self) -> None:
        """End it, whatever it is computing."""
        self._control.close()
        self._process.kill()
        self._process.wait()


def main(arguments: list[str]) -> None:
    """Serve attacks until the verifier ends, and report after each how much was asked for."""
    parent, descriptor = map(int, arguments)
    end_with_parent(parent)
    control = socket.socket(fileno=descriptor)
    with operation_threads(1):
        while True:
            try:
                order, descriptors, _, _ = socket.recv_fds(control, MOST_TEXT, 2)
            except ConnectionResetError:
                # The verifier was ended before it read what the last attack had asked for.
                return
            if not order:
                return
            spent = _serve(*json.loads(order), *descriptors)
            for each in descriptors:
                os.close(each)
            try:
                control.send(json.dumps(asdict(spent)).encode())
            except OSError:
                # The verifier was ended, and with it the attack.
                return


def _serve(observation: str, most: int, reading: int, writing: int) -> Spent:
    answering, refused = Answering(load_observation(Path(observation)), most), None
    try:
        answering.serve(Channel(reading, writing, MOST_BYTES))
    except BudgetSpent as error:
        refused = str(error)
    except ChannelClosed:
        # The asker ended before it was answered.
        pass
    return Spent(answering.evaluations, refused)


if __name__ == "__main__":
    main(sys.argv[1:])
