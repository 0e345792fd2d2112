"""The attack's side of the oracle: it has the interface of a judge and a client, and asks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.choices import Path, Stop
from gifd_bench.benchmark.inversion.matching import MatchingLoss
from gifd_bench.benchmark.inversion.simulation import Client
from gifd_bench.benchmark.inversion.stopping import Judgment
from gifd_bench.benchmark.oracle.channel import (
    BATCH_NORM_LAYERS,
    HELLO,
    JUDGE,
    LOSS,
    MOMENTS,
    OUTPUT_LAYER,
    PULL_BACK,
    UPDATE,
    Channel,
    packed,
    unpacked,
    unpacked_with,
)
from gifd_bench.benchmark.oracle.losses import LossOrder, loss_order
from gifd_bench.tasks.batch_norm import Moments
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.last_layer import OutputLayer
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import assembled


class Oracle:
    """Asks another process for the gradients of the victim for one observation, which counts them.

    Args:
        channel: the channel to the oracle.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def observation(self) -> WithheldObservation:
        """What is attacked: the first message, for which it waits until the oracle is ready."""
        facts, tensors = unpacked_with(self._expect(HELLO))
        layers, found = facts.pop(BATCH_NORM_LAYERS), assembled(facts, tensors)
        parts = {field.name: getattr(found, field.name) for field in fields(found)}
        return WithheldObservation(**parts, batch_norm_layers=tuple(layers), oracle=self)

    def output_layer(self, inputs: Tensor) -> OutputLayer:
        """As in `Observation`; only a few such questions are answered."""
        facts, tensors = unpacked_with(self.ask(OUTPUT_LAYER, packed({"inputs": inputs.cpu()})))
        return OutputLayer(facts["name"], tensors["weight"], tensors.get("bias"), tensors["features"])

    def judge(
        self, client: Client, loss: MatchingLoss, stop: Stop, lanes: int, to_the_last_digit: bool
    ) -> RemoteJudge | None:
        """A judge that computes nothing here; `None` if only this process knows the loss."""
        order = loss_order(loss, stop, lanes, to_the_last_digit, len(client.observed))
        if order is None:
            return None
        # Some attacks read from their loss what it was prepared with.
        loss.prepare(client.observed)
        return RemoteJudge(self, order)

    def ask(self, kind: bytes, payload: bytes) -> bytes:
        """Ask a question, and return the answer.

        Raises:
            BenchmarkError: there is no answer; most likely, the evaluations are spent.
        """
        self._channel.send(kind, payload)
        return self._expect(kind)

    def _expect(self, kind: bytes) -> bytes:
        found, payload = self._channel.receive()
        if found != kind:
            raise BenchmarkError(f"the gradient oracle refused: {payload.decode(errors='replace')}")
        return payload


@dataclass(frozen=True, kw_only=True)
class WithheldObservation(Observation):
    """An observation without the victim's parameters, which stay with the oracle.

    Its `weights` hold only the buffers, such as running statistics.

    Attributes:
        batch_norm_layers: the names of the victim's BatchNorm layers, in the order of the model.
        oracle: computes everything for which the victim is needed.
    """

    batch_norm_layers: tuple[str, ...]
    oracle: Oracle = field(repr=False, compare=False)

    def rebuilt_victim(self) -> nn.Module:
        """Nobody can rebuild the victim here.

        Raises:
            TaskError: always.
        """
        raise TaskError(
            "the victim's weights stay with the gradient oracle: use client.update, client.moments and "
            "infer_labels, which ask it"
        )

    def output_layer(self, inputs: Tensor) -> OutputLayer:
        return self.oracle.output_layer(inputs)


class RemoteJudge:
    """Judges candidates by asking the oracle, with the interface of `Judge`.

    Attributes:
        floor, path: as in `Judge`.
        victim: `None`, because no candidate passes a victim here.
    """

    victim = None

    def __init__(self, oracle: Oracle, order: LossOrder) -> None:
        self._oracle = oracle
        answer = json.loads(oracle.ask(LOSS, order.model_dump_json().encode()))
        self.floor: float | Tensor = float(answer["floor"])
        self.path: Path = answer["path"]

    def __call__(self, images: Tensor, targets: Tensor) -> Judgment:
        """Judge the candidates of L lanes, as `Judge` does."""
        objective, criterion, matching = _Judged.apply(self._oracle, images, targets)
        return Judgment(objective, criterion, matching)


class RemoteClient(Client):
    """A client whose updates and moments the oracle computes; each answer may be differentiated once.

    Args:
        observation: everything that the attacker sees.
        device: where the attack computes.
    """

    def __init__(self, observation: WithheldObservation, device: torch.device) -> None:
        super().__init__(observation, device)
        self._oracle, self._layers = observation.oracle, observation.batch_norm_layers

    def update(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        return tuple(_Asked.apply(self._oracle, UPDATE, images, labels))

    def moments(self, images: Tensor) -> dict[str, Moments]:
        """As in `Client`; for no more candidates than gradients were asked for."""
        found = _Asked.apply(self._oracle, MOMENTS, images)
        pairs = zip(found[::2], found[1::2], strict=True)
        return {layer: Moments(*pair) for layer, pair in zip(self._layers, pairs, strict=True)}


class _Judged(torch.autograd.Function):
    """Lanes do not depend on each other, so the gradient of their sum is that of each."""

    @staticmethod
    def forward(ctx: Any, oracle: Oracle, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        wanted = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        question = {"images": images, "targets": targets, "wanted": torch.tensor(wanted)}
        found = unpacked(oracle.ask(JUDGE, packed({k: v.cpu() for k, v in question.items()})))
        found = {name: tensor.to(images.device) for name, tensor in found.items()}
        if wanted:
            ctx.of_images = found["of_images"]
            ctx.of_targets = found.get("of_targets")
        judged = found["objective"], found["criterion"], found["matching_loss"]
        ctx.mark_non_differentiable(*judged[1:])
        return judged

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, objective: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return None, *(
            _by_lane(objective, gradient) if gradient is not None and needed else None
            for gradient, needed in zip(
                (ctx.of_images, ctx.of_targets), ctx.needs_input_grad[1:], strict=True
            )
        )


class _Asked(torch.autograd.Function):
    """What the oracle computes from images and, for updates, from targets."""

    @staticmethod
    def forward(ctx: Any, oracle: Oracle, kind: bytes, *given: Tensor) -> tuple[Tensor, ...]:
        wanted, device = any(ctx.needs_input_grad), given[0].device
        question = {name: tensor.cpu() for name, tensor in zip(("images", "targets"), given, strict=False)}
        found = unpacked(oracle.ask(kind, packed({**question, "wanted": torch.tensor(wanted)})))
        ctx.oracle, ctx.token = oracle, found.pop("token")
        return tuple(found[str(i)].to(device) for i in range(len(found)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        question = {str(i): cotangent.cpu() for i, cotangent in enumerate(cotangents)}
        found = unpacked(ctx.oracle.ask(PULL_BACK, packed({**question, "token": ctx.token})))
        device, names = cotangents[0].device, ("of_images", "of_targets")
        return (
            None,
            None,
            *(
                found[name].to(device) if needed else None
                for name, needed in zip(names, ctx.needs_input_grad[2:], strict=False)
            ),
        )


def _by_lane(factors: Tensor, gradient: Tensor) -> Tensor:
    return factors.view(-1, *[1] * (gradient.ndim - 1)) * gradient
