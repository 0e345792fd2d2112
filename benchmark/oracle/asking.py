"""The attack's side of the oracle: it has the interface of a judge and a client, and asks."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.choices import Path, Stop
from gifd_bench.benchmark.inversion.matching import MatchingLoss
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.inversion.stopping import Judgment
from gifd_bench.benchmark.oracle.channel import (
    HELLO,
    JUDGE,
    LOSS,
    PULL_BACK,
    UPDATE,
    Channel,
    packed,
    unpacked,
)
from gifd_bench.benchmark.oracle.losses import LossOrder, loss_order
from gifd_bench.benchmark.oracle.observed import unpacked_observation
from gifd_bench.tasks.observation import Observation


class Oracle:
    """Asks another process for the gradients of the victim for one observation, which counts them.

    Args:
        channel: the channel to the oracle.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def observation(self) -> Observation:
        """What is attacked: the first message, for which it waits until the oracle is ready."""
        return unpacked_observation(self._expect(HELLO))

    def judge(
        self, client: SimulatedClient, loss: MatchingLoss, stop: Stop, lanes: int, to_the_last_digit: bool
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


class RemoteClient(SimulatedClient):
    """A client whose updates the oracle computes, with the interface of `SimulatedClient`.

    Args:
        observation: everything that the attacker sees.
        device: where the attack computes.
        oracle: the oracle of this observation.
    """

    def __init__(self, observation: Observation, device: torch.device, oracle: Oracle) -> None:
        super().__init__(observation, device)
        self._oracle = oracle

    def update(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """The update that would be sent, which may be differentiated once."""
        return tuple(_Updated.apply(self._oracle, images, labels))


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


class _Updated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, oracle: Oracle, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        wanted = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        question = {"images": images, "targets": labels, "wanted": torch.tensor(wanted)}
        found = unpacked(oracle.ask(UPDATE, packed({k: v.cpu() for k, v in question.items()})))
        ctx.oracle, ctx.token = oracle, found.pop("token")
        return tuple(found[str(i)].to(images.device) for i in range(len(found)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        question = {str(i): cotangent.cpu() for i, cotangent in enumerate(cotangents)}
        payload = packed({**question, "token": ctx.token})
        found = unpacked(ctx.oracle.ask(PULL_BACK, payload))
        device = cotangents[0].device
        return None, *(
            found[name].to(device) if needed else None
            for name, needed in zip(("of_images", "of_targets"), ctx.needs_input_grad[1:], strict=True)
        )


def _by_lane(factors: Tensor, gradient: Tensor) -> Tensor:
    return factors.view(-1, *[1] * (gradient.ndim - 1)) * gradient
