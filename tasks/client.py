"""How honest clients compute what they send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gifd_bench.tasks.choices import check_choices
from gifd_bench.tasks.errors import TaskError


@dataclass(frozen=True)
class FedAvg:
    """Local training before anything is sent (McMahan et al., "Communication-efficient learning of deep
    networks from decentralized data", AISTATS 2017, algorithm 1). The batches are taken in order, the same
    in every epoch.

    Attributes:
        epochs: over the client's images.
        batch_size: images a local step; the last of an epoch may hold fewer.
        learning_rate: of plain gradient descent.
    """

    epochs: int = 1
    batch_size: int = 1
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1 or not 0 < self.learning_rate < float("inf"):
            raise TaskError(
                "client.local: epochs and batch_size must be at least 1 and learning_rate positive, not "
                f"{self.epochs}, {self.batch_size} and {self.learning_rate}"
            )

    def steps(self, images: int) -> Iterator[slice]:
        """Which of the client's images each local step uses."""
        for _ in range(self.epochs):
            for first in range(0, images, self.batch_size):
                yield slice(first, min(first + self.batch_size, images))


@dataclass(frozen=True)
class ClientSettings:
    """What every client of the round does.

    Attributes:
        local: local training, whose difference of parameters is sent; `None` sends one gradient.
        clients: how many clients' updates the server gets the mean of, and nothing else.
        batch_norm: whether BatchNorm layers use running statistics (`eval`) or the batch's (`train`).
        send_buffers: whether the running statistics after the round are sent too.
    """

    local: FedAvg | None = None
    clients: int = 1
    batch_norm: Literal["eval", "train"] = "eval"
    send_buffers: bool = False

    def __post_init__(self) -> None:
        check_choices(self, "client")
        if self.clients < 1:
            raise TaskError(f"client.clients must be at least 1, not {self.clients}")
        if self.send_buffers and self.batch_norm == "eval":
            raise TaskError("client.send_buffers: buffers only change with client.batch_norm=train")
