"""How honest clients compute what they send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from gifd_bench.tasks.choices import check_choices
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.losses import Loss
from gifd_bench.tasks.stated import later

# Far beyond what federated learning does, and what can still be simulated.
MOST_EPOCHS = 1_000
MOST_CLIENTS = 10_000


@dataclass(frozen=True)
class FedAvg:
    """Local training before the client sends anything.

    McMahan et al., "Communication-efficient learning of deep networks from decentralized data", AISTATS
    2017, algorithm 1. Batches are taken in order, and in the same order in every epoch. The optimizer
    starts anew in every round.

    Attributes:
        epochs: passes over the client's images.
        batch_size: images in a local step; the last batch of an epoch may hold fewer.
        learning_rate: the learning rate of every step.
        optimizer: `sgd`, `adam` or `adamw`, each as PyTorch computes it.
        momentum: the momentum of `sgd`, in [0, 1).
        nesterov: whether the momentum is Nesterov's.
        weight_decay: factor of the weights that is added to the gradient; for `adamw`, decoupled from it.
        betas: decay rates of the moments of `adam` and `adamw`.
        epsilon: the epsilon of `adam` and `adamw`.
    """

    epochs: int = 1
    batch_size: int = 1
    learning_rate: float = 0.01
    optimizer: Literal["sgd", "adam", "adamw"] = later("sgd")
    momentum: float = later(0.0)
    nesterov: bool = later(False)
    weight_decay: float = later(0.0)
    betas: tuple[float, float] = later((0.9, 0.999))
    epsilon: float = later(1e-8)

    def __post_init__(self) -> None:
        check_choices(self, "client.local")
        object.__setattr__(self, "betas", tuple(self.betas))
        if min(self.epochs, self.batch_size) < 1 or not 0 < self.learning_rate < float("inf"):
            raise TaskError(
                "client.local: epochs and batch_size must be at least 1 and learning_rate positive, not "
                f"{self.epochs}, {self.batch_size} and {self.learning_rate}"
            )
        if self.epochs > MOST_EPOCHS:
            raise TaskError(f"client.local.epochs must be {MOST_EPOCHS:,} at most, not {self.epochs:,}")
        decays = (self.momentum, *self.betas)
        if not all(0 <= value < 1 for value in decays) or not 0 <= self.weight_decay < float("inf"):
            raise TaskError(
                "client.local: momentum and betas must be in [0, 1) and weight_decay at least 0, not "
                f"{self.momentum}, {list(self.betas)} and {self.weight_decay}"
            )
        if not 0 < self.epsilon < float("inf"):
            raise TaskError(f"client.local.epsilon must be positive, not {self.epsilon}")
        if self.momentum and self.optimizer != "sgd":
            raise TaskError(f"client.local.momentum is an option of sgd, not of {self.optimizer}")
        if self.nesterov and not self.momentum:
            raise TaskError("client.local.nesterov needs a momentum above 0")

    def steps(self, images: int) -> Iterator[slice]:
        """The slice of the client's images that each local step uses."""
        for _ in range(self.epochs):
            for first in range(0, images, self.batch_size):
                yield slice(first, min(first + self.batch_size, images))

    def step_lengths(self, images: int) -> float:
        """How far a constant gradient moves the parameters, in units of that gradient.

        For `sgd` this is the sum of the learning rates of the steps, with the momentum of the steps before
        them. For `adam`, whose steps do not grow with the gradient, it is the sum of the learning rates.
        """
        total, velocity = 0.0, 0.0
        steps = len(list(self.steps(images)))
        if not self.momentum:
            return self.learning_rate * steps
        for _ in range(steps):
            velocity = self.momentum * velocity + 1
            total += self.learning_rate * (1 + self.momentum * velocity if self.nesterov else velocity)
        return total


@dataclass(frozen=True)
class ClientSettings:
    """What every client of the round does.

    Attributes:
        local: local training, whose difference of parameters is sent; `None` sends one gradient.
        clients: the number of clients; the server gets the mean of their updates, and nothing else.
        batch_norm: whether BatchNorm layers use running statistics (`eval`) or the batch's (`train`).
        send_buffers: whether the running statistics after the round are sent too.
        dropout: whether dropout, stochastic depth and all other layers except BatchNorm are in training
            mode (`train`), where random masks are drawn in each step.
        loss: the loss that the training minimizes.
        trained: patterns of the names of the trained parameters, in which `*` stands for any characters;
            `None` for all parameters that the model has not frozen.
        sent: patterns of those trained parameters that are sent; `None` for all of them.
        weights: the weight of each client in the mean, in the order of the clients; `None` for equal
            weights.
    """

    local: FedAvg | None = None
    clients: int = 1
    batch_norm: Literal["eval", "train"] = "eval"
    send_buffers: bool = False
    dropout: Literal["eval", "train"] = later("eval")
    loss: Loss = later(Loss())
    trained: tuple[str, ...] | None = later(None)
    sent: tuple[str, ...] | None = later(None)
    weights: tuple[float, ...] | None = later(None)

    def __post_init__(self) -> None:
        check_choices(self, "client")
        for name in ("trained", "sent", "weights"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        if not 1 <= self.clients <= MOST_CLIENTS:
            raise TaskError(f"client.clients must be 1 to {MOST_CLIENTS:,}, not {self.clients:,}")
        if self.send_buffers and self.batch_norm == "eval":
            raise TaskError("client.send_buffers: buffers only change with client.batch_norm=train")
        if self.weights is not None and (
            len(self.weights) != self.clients or not all(0 < w < float("inf") for w in self.weights)
        ):
            raise TaskError(
                f"client.weights: {self.clients} positive numbers are expected, one for each client, "
                f"not {list(self.weights)}"
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """The weight of each client in the mean; they sum to 1."""
        weights = self.weights or (1.0,) * self.clients
        return tuple(weight / sum(weights) for weight in weights)

    def trains(self, names: Iterable[str]) -> list[str]:
        """The names of a model's unfrozen parameters that are trained.

        Raises:
            TaskError: a pattern matches none.
        """
        return _matching(names, self.trained, "trained")

    def sends(self, names: Iterable[str]) -> list[str]:
        """The names of the trained parameters that are sent.

        Raises:
            TaskError: a pattern matches none.
        """
        return _matching(names, self.sent, "sent")


def _matching(names: Iterable[str], patterns: tuple[str, ...] | None, field: str) -> list[str]:
    known = list(names)
    if patterns is None:
        return known
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise TaskError(
                f"client.{field}: no parameter is called '{pattern}'; there are {', '.join(known[:4])}"
                + (", ..." if len(known) > 4 else "")
            )
    return [name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)]
