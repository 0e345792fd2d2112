"""An attack that is honest about one observation, and something else about another."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.pixel_options import IGOptions
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.observation import Observation

TGKILL = {"x86_64": 234, "aarch64": 131}


@dataclass(frozen=True, kw_only=True)
class FickleOptions(IGOptions):
    """What it does.

    Attributes:
        act: one of `ACTS`, or empty for an honest attack.
    """

    act: str = ""


class Fickle(IG):
    """Acts when it is shown the observation."""

    Options: ClassVar[type[FickleOptions]] = FickleOptions
    options: FickleOptions

    def fixed_labels(self, observation: Observation) -> Tensor:
        if self.options.act:
            ACTS[self.options.act](observation)
        return super().fixed_labels(observation)


def look(observation: Observation) -> None:
    """Say what another attack before this one may have left."""
    descriptors = []
    for number in range(1024):
        with suppress(OSError):
            os.fstat(number)
            descriptors.append(number)
    everything = gc.get_objects()
    others = [one for one in everything if isinstance(one, Observation) and one is not observation]
    sockets = [one for one in everything if isinstance(one, socket.socket) and one.fileno() in descriptors]
    raise LookupError(f"{len(descriptors)} descriptors, {len(sockets)} sockets, {len(others)} others")


def find_weights(observation: Observation) -> None:
    """Say which of the victim's parameters can be found anywhere in this process."""
    tensors = [one for one in gc.get_objects() if isinstance(one, Tensor)]
    parameters = [one for one in tensors if isinstance(one, nn.Parameter)]
    names = observation.update.keys() & observation.weights.keys()
    try:
        observation.victim()
    except TaskError as error:
        raise LookupError(f"{len(parameters)} parameters, {len(names)} weights; {error}") from error


def kill_parent(_: Observation) -> None:
    """End the process that waits for this one's end."""
    parent = os.getppid()
    ctypes.CDLL(None).syscall(TGKILL[os.uname().machine], parent, parent, signal.SIGKILL)


ACTS: dict[str, Callable[[Observation], None]] = {
    "look": look,
    "find_weights": find_weights,
    "crash": lambda _: os.abort(),
    "kill": kill_parent,
}
