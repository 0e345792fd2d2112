"""One round of federated learning: what honest clients compute from their private batches and send."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gifd_bench.common.hashing import stream
from gifd_bench.tasks.batch_norm import set_batch_norm_training
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.defenses.base import Defense, PrivateBatch
from gifd_bench.tasks.defenses.composition import composed


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
    defense_seed: int,
) -> Sent:
    """One round of all clients; each defends its own update, with random numbers of its own.

    Args:
        victim: with the weights that the server sent; left as it is.
        inputs: (clients * B, 3, H, W), normalised; the first client's images first.
        labels: (clients * B,) int64.
        settings: of every client.
        defense: of every client.
        defense_seed: of the defenses' randomness. What a defense draws depends on this, its kind and the
            client, and on no setting: the noise is one draw, and its strength a factor.
    """
    whole, batches = composed(defense), (inputs.chunk(settings.clients), labels.chunk(settings.clients))
    rounds = []
    for client, (its_inputs, its_labels) in enumerate(zip(*batches, strict=True)):
        generator = torch.Generator().manual_seed(stream(defense_seed, "client", client))
        rounds.append(_run_client(victim, its_inputs, its_labels, settings, whole, generator))
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
