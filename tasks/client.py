"""The honest client: what it computes from its private batch and sends."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gifd_bench.tasks.batch_norm import set_batch_norm_training
from gifd_bench.tasks.choices import check_choices
from gifd_bench.tasks.defenses.base import Defense, PrivateBatch
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
        local: local training, whose difference of parameters is sent; null sends one gradient.
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


@dataclass(frozen=True)
class Sent:
    """What the server receives of a round: the mean over its clients.

    Attributes:
        update: by parameter name, in the model's order.
        buffers: the model's floating-point buffers after the round, by name.
    """

    update: dict[str, Tensor]
    buffers: dict[str, Tensor]


def run_round(
    victim: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    settings: ClientSettings,
    defense: Defense,
    generator: torch.Generator,
) -> Sent:
    """One round of all clients; each defends its own update.

    Args:
        victim: with the weights that the server sent; left as it is.
        inputs: (clients * B, 3, H, W), normalised; the first client's images first.
        labels: (clients * B,) int64.
        settings: of every client.
        defense: of every client.
        generator: of the defenses' randomness.
    """
    rounds = [
        _run_client(victim, its_inputs, its_labels, settings, defense, generator)
        for its_inputs, its_labels in zip(
            inputs.chunk(settings.clients), labels.chunk(settings.clients), strict=True
        )
    ]
    if len(rounds) == 1:
        return rounds[0]
    return Sent(
        update=_mean([sent.update for sent in rounds]), buffers=_mean([sent.buffers for sent in rounds])
    )


def _run_client(
    victim: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    settings: ClientSettings,
    defense: Defense,
    generator: torch.Generator,
) -> Sent:
    start = copy.deepcopy(victim)
    set_batch_norm_training(start, settings.batch_norm == "train")
    model = copy.deepcopy(start)
    names = [name for name, _ in model.named_parameters()]
    if settings.local is None:
        update = defense.gradient(PrivateBatch(model, inputs, labels), generator)
    else:
        update = _local_training(model, inputs, labels, settings.local, defense, generator)
    sent = defense.apply(
        dict(zip(names, update, strict=True)), PrivateBatch(start, inputs, labels), generator
    )
    buffers = {name: buffer for name, buffer in model.named_buffers() if buffer.is_floating_point()}
    return Sent(sent, buffers)


def _local_training(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    local: FedAvg,
    defense: Defense,
    generator: torch.Generator,
) -> tuple[Tensor, ...]:
    """Train in place; returns the difference of the parameters."""
    parameters = list(model.parameters())
    start = [parameter.detach().clone() for parameter in parameters]
    for step in local.steps(len(inputs)):
        gradient = defense.gradient(PrivateBatch(model, inputs[step], labels[step]), generator)
        with torch.no_grad():
            for parameter, g in zip(parameters, gradient, strict=True):
                parameter.sub_(g, alpha=local.learning_rate)
    return tuple(p.detach() - s for p, s in zip(parameters, start, strict=True))


def _mean(many: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([one[name] for one in many]).mean(dim=0) for name in many[0]}
