"""One round of federated learning: what honest clients compute from their private batches, and send."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gifd_bench.common.hashing import stream
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.defenses.base import Defense, PrivateBatch
from gifd_bench.tasks.defenses.composition import composed
from gifd_bench.tasks.gradient import trainable
from gifd_bench.tasks.losses import Loss
from gifd_bench.tasks.training_mode import prepare


@dataclass(frozen=True)
class Sent:
    """What the server receives in a round: the mean over its clients.

    Attributes:
        update: the update by the name of each sent parameter, in the model's order.
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
    defense_seed: int,
) -> Sent:
    """Run one round of all clients; each defends its own update, with random numbers of its own.

    Args:
        victim: the model with the weights that the server sent; it is left as it is.
        inputs: (clients * B, C, H, W), normalized; the first client's images first.
        labels: (clients * B,) int64, or (clients * B, classes).
        settings: the settings of every client.
        defense: the defense of every client.
        defense_seed: the seed of the defenses' randomness. What a defense draws depends on this seed, its
            kind and the client, and on no setting: noise is one draw, and its strength is a factor.
    """
    whole, batches = composed(defense), (inputs.chunk(settings.clients), labels.chunk(settings.clients))
    rounds = []
    for client, (its_inputs, its_labels) in enumerate(zip(*batches, strict=True)):
        generator = torch.Generator().manual_seed(stream(defense_seed, "client", client))
        with torch.random.fork_rng(devices=[]):
            # What dropout draws.
            torch.manual_seed(stream(defense_seed, "dropout", client))
            rounds.append(_run_client(victim, its_inputs, its_labels, settings, whole, generator))
    if len(rounds) == 1:
        return rounds[0]
    return Sent(
        update=_mean([sent.update for sent in rounds], settings),
        buffers=_mean([sent.buffers for sent in rounds], settings),
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
    prepare(start, settings)
    model = copy.deepcopy(start)
    if settings.local is None:
        update = defense.gradient(PrivateBatch(model, inputs, labels, settings.loss), generator)
    else:
        update = _local_training(model, inputs, labels, settings.local, settings.loss, defense, generator)
    trained = dict(zip((name for name, _ in trainable(model)), update, strict=True))
    chosen = {name: trained[name] for name in settings.sends(trained)}
    sent = defense.apply(chosen, PrivateBatch(start, inputs, labels, settings.loss), generator)
    buffers = {name: buffer for name, buffer in model.named_buffers() if buffer.is_floating_point()}
    return Sent(sent, buffers)


def _local_training(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    local: FedAvg,
    loss: Loss,
    defense: Defense,
    generator: torch.Generator,
) -> tuple[Tensor, ...]:
    """Train in place, and return the difference of the parameters."""
    parameters = [parameter for _, parameter in trainable(model)]
    start = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch_optimizer(parameters, local)
    for step in local.steps(len(inputs)):
        gradient = defense.gradient(PrivateBatch(model, inputs[step], labels[step], loss), generator)
        for parameter, g in zip(parameters, gradient, strict=True):
            parameter.grad = g.detach()
        optimizer.step()
    return tuple(p.detach() - s for p, s in zip(parameters, start, strict=True))


def torch_optimizer(parameters: Sequence[nn.Parameter], local: FedAvg) -> torch.optim.Optimizer:
    """PyTorch's optimizer for these settings."""
    if local.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=local.learning_rate,
            momentum=local.momentum,
            nesterov=local.nesterov,
            weight_decay=local.weight_decay,
        )
    kind = torch.optim.Adam if local.optimizer == "adam" else torch.optim.AdamW
    return kind(
        parameters,
        lr=local.learning_rate,
        betas=local.betas,
        eps=local.epsilon,
        weight_decay=local.weight_decay,
    )


def _mean(many: list[dict[str, Tensor]], settings: ClientSettings) -> dict[str, Tensor]:
    if settings.weights is None:
        return {name: torch.stack([one[name] for one in many]).mean(dim=0) for name in many[0]}
    pairs = list(zip(settings.shares, many, strict=True))
    return {name: torch.stack([share * one[name] for share, one in pairs]).sum(dim=0) for name in many[0]}
