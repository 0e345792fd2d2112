"""The oracle's side: it computes gradients for whoever asks, counts them, and stops at a budget."""

from __future__ import annotations

import itertools
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.judging import Judge
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.oracle.channel import (
    BATCH_NORM_LAYERS,
    HELLO,
    JUDGE,
    LOSS,
    MOMENTS,
    OUTPUT_LAYER,
    PULL_BACK,
    REFUSED,
    UPDATE,
    Channel,
    packed,
    packed_with,
    unpacked,
)
from gifd_bench.benchmark.oracle.losses import read_order
from gifd_bench.common.errors import UserError, one_line
from gifd_bench.tasks.batch_norm import batch_norm_layers
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import facts_of, tensors_of

# Updates and moments that may still be differentiated; the oldest are forgotten.
MOST_HELD = 64
# What a label rule needs, and no more, since these forward passes cost nothing.
MOST_LAYER_QUESTIONS, MOST_LAYER_IMAGES = 8, 64


class BudgetSpent(BenchmarkError):
    """More gradient evaluations were asked for than the budget allows."""


class Answering:
    """Answers the questions of one attack about one observation, whatever it asks.

    Attributes:
        evaluations: the gradient evaluations that were asked for and computed.

    Args:
        observation: the observation under attack.
        most: the largest number of gradient evaluations.
    """

    def __init__(self, observation: Observation, most: int) -> None:
        self.evaluations = 0
        self._most, self._observation = most, observation
        self._client = SimulatedClient(observation, torch.device("cpu"))
        self._judge: Judge | None = None
        self._lanes = 0
        self._shape = (observation.batch_size, *observation.model.image_shape)
        self._classes = observation.model.num_classes
        self._held: OrderedDict[int, tuple[list[Tensor], tuple[Tensor, ...]]] = OrderedDict()
        self._tokens = itertools.count(1)
        self._lanes_passed, self._layer_questions = 0, 0
        self._answers: Mapping[bytes, Callable[[bytes], bytes]] = {
            LOSS: self._order,
            JUDGE: self._judged,
            UPDATE: self._updated,
            PULL_BACK: self._pulled_back,
            MOMENTS: self._moments,
            OUTPUT_LAYER: self._output_layer,
        }

    def serve(self, channel: Channel) -> None:
        """Say what was observed, and answer until nobody asks any more.

        Raises:
            BudgetSpent: more was asked for than the budget allows; the asker was told.
        """
        channel.send(HELLO, without_parameters(self._observation))
        while True:
            try:
                kind, payload = channel.receive()
            except BenchmarkError:
                # Nobody is there, or nobody who makes sense: where its next message begins is not known.
                return
            try:
                if kind not in self._answers:
                    raise BenchmarkError("there is no such question")
                answer = self._answers[kind](payload)
            except BudgetSpent as error:
                channel.send(REFUSED, str(error).encode())
                raise
            # Whatever torch says of the tensors that it was sent.
            except (UserError, RuntimeError, ValueError, IndexError, TypeError, KeyError) as error:
                channel.send(REFUSED, one_line(error)[:500].encode())
            else:
                channel.send(kind, answer)

    def _spend(self, count: int) -> None:
        if self.evaluations + count > self._most:
            raise BudgetSpent(f"{self.evaluations + count:,} gradient evaluations of {self._most:,}")
        self.evaluations += count

    def _order(self, payload: bytes) -> bytes:
        order = read_order(payload)
        self._judge, self._lanes = None, order.lanes
        self._judge = Judge([self._client], order.loss(), order.stop, order.lanes, order.to_the_last_digit)
        floor = self._judge.floor
        return json.dumps({"floor": float(floor), "path": self._judge.path}).encode()

    def _judged(self, payload: bytes) -> bytes:
        images, targets, wanted = self._question(payload)
        if self._judge is None:
            raise BenchmarkError("no matching loss was ordered")
        if images.ndim != 5 or not 1 <= len(images) <= self._lanes or images.shape[1:] != self._shape:
            raise BenchmarkError(f"images of shape {tuple(images.shape)}, {self._lanes} lanes at most")
        self._spend(len(images))
        inputs = _to_differentiate(images, targets) if wanted else []
        with torch.set_grad_enabled(wanted):
            judged = self._judge(images, targets)
        answer = {
            "objective": judged.objective,
            "criterion": judged.criterion,
            "matching_loss": judged.matching_loss,
        }
        if wanted:
            gradients = torch.autograd.grad(judged.objective.sum(), inputs, materialize_grads=True)
            answer |= dict(zip(("of_images", "of_targets"), gradients, strict=False))
        return packed(answer)

    def _updated(self, payload: bytes) -> bytes:
        images, targets, wanted = self._question(payload)
        if images.shape != self._shape:
            raise BenchmarkError(f"images of shape {tuple(images.shape)}, not {self._shape}")
        self._spend(1)
        inputs = _to_differentiate(images, targets) if wanted else []
        with torch.set_grad_enabled(wanted):
            update = self._client.update(images, targets)
        return self._held_and_packed(inputs, update)

    def _moments(self, payload: bytes) -> bytes:
        tensors = unpacked(payload)
        images, wanted = tensors["images"], bool(tensors["wanted"])
        if images.dtype != torch.float32 or images.ndim != 5 or images.shape[1:] != self._shape:
            raise BenchmarkError(f"{images.dtype} images of shape {tuple(images.shape)}")
        # They belong to candidates that were judged, and cost nothing of their own.
        if self._lanes_passed + len(images) > self.evaluations:
            raise BenchmarkError("statistics of more candidates than gradients were asked for")
        self._lanes_passed += len(images)
        inputs = [images.requires_grad_()] if wanted else []
        with torch.set_grad_enabled(wanted):
            found = self._client.moments(images)
        each = tuple(tensor for moments in found.values() for tensor in (moments.mean, moments.var))
        return self._held_and_packed(inputs, each)

    def _output_layer(self, payload: bytes) -> bytes:
        inputs = unpacked(payload)["inputs"]
        self._layer_questions += 1
        if self._layer_questions > MOST_LAYER_QUESTIONS or len(inputs) > MOST_LAYER_IMAGES:
            raise BenchmarkError(
                f"the last layer is shown {MOST_LAYER_QUESTIONS} times, for {MOST_LAYER_IMAGES} images"
            )
        layer = self._observation.output_layer(inputs)
        tensors = {"weight": layer.weight, "features": layer.features}
        if layer.bias is not None:
            tensors["bias"] = layer.bias
        return packed_with({"name": layer.name}, tensors)

    def _held_and_packed(self, inputs: list[Tensor], outputs: tuple[Tensor, ...]) -> bytes:
        token = next(self._tokens)
        if inputs:
            self._held[token] = inputs, outputs
            while len(self._held) > MOST_HELD:
                self._held.popitem(last=False)
        named = {str(i): tensor.detach() for i, tensor in enumerate(outputs)}
        return packed({**named, "token": torch.tensor(token)})

    def _pulled_back(self, payload: bytes) -> bytes:
        tensors = unpacked(payload)
        held = self._held.pop(int(tensors.pop("token")), None)
        if held is None:
            raise BenchmarkError("an answer is differentiated once, and not after many others")
        inputs, outputs = held
        cotangents = [tensors[str(i)] for i in range(len(outputs))]
        gradients = torch.autograd.grad(outputs, inputs, cotangents, materialize_grads=True)
        return packed(dict(zip(("of_images", "of_targets"), gradients, strict=False)))

    def _question(self, payload: bytes) -> tuple[Tensor, Tensor, bool]:
        tensors = unpacked(payload)
        images, targets = tensors["images"], tensors["targets"]
        if images.dtype != torch.float32 or targets.dtype not in (torch.int64, torch.float32):
            raise BenchmarkError(f"images of {images.dtype} with targets of {targets.dtype}")
        if not targets.is_floating_point() and not bool(((targets >= 0) & (targets < self._classes)).all()):
            raise BenchmarkError(f"labels are not numbers below {self._classes}")
        return images, targets, bool(tensors["wanted"])


def without_parameters(observation: Observation) -> bytes:
    """An observation as the payload of a message, which holds none of the victim's parameters."""
    victim = observation.victim()
    parameters = {name for name, _ in victim.named_parameters(remove_duplicate=False)}
    buffers = {name: value for name, value in observation.weights.items() if name not in parameters}
    facts = {**facts_of(observation), BATCH_NORM_LAYERS: [name for name, _ in batch_norm_layers(victim)]}
    return packed_with(facts, tensors_of(replace(observation, weights=buffers)))


def _to_differentiate(images: Tensor, targets: Tensor) -> list[Tensor]:
    inputs = [images, targets] if targets.is_floating_point() else [images]
    return [tensor.requires_grad_() for tensor in inputs]
