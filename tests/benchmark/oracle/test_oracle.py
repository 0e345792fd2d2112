"""An attack whose gradients another one computes: the same bytes, and a count that is not its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.dlg import DLG
from gifd_bench.benchmark.attacks.gi import GI
from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.choices import Exponential, Matching
from gifd_bench.benchmark.inversion.labels.rules import FOR_ONE_IMAGE, LABEL_RULES, infer_labels
from gifd_bench.benchmark.inversion.matching import Cosine, MatchingLoss
from gifd_bench.benchmark.invert import invert
from gifd_bench.benchmark.oracle.answering import MOST_LAYER_QUESTIONS, Answering, BudgetSpent
from gifd_bench.benchmark.oracle.asking import Oracle, RemoteClient
from gifd_bench.benchmark.oracle.channel import (
    HEAD,
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
)
from gifd_bench.benchmark.oracle.losses import LossOrder
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.threat_model import ThreatModel
from tests.rounds import make_round


@contextmanager
def answering(observation: Observation, most: int = 1000) -> Iterator[tuple[Channel, Answering]]:
    """An oracle in a thread, and the channel to it."""
    to, back = os.pipe(), os.pipe()
    oracle = Answering(observation, most)

    def serve() -> None:
        try:
            oracle.serve(Channel(to[0], back[1]))
        except BudgetSpent:
            os.close(back[1])

    thread = Thread(target=serve)
    thread.start()
    try:
        yield Channel(back[0], to[1]), oracle
    finally:
        os.close(to[1])
        thread.join()


class Own(Cosine):
    """A loss that nobody has registered."""


class OwnLoss(IG):
    """IG with such a loss."""

    def make_loss(self) -> MatchingLoss:
        return Own()


MASKED = Matching("masked_cosine", 0.5, Exponential(0.1))
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "ig": (IG, {"iterations": 4}, {}),
    "lanes": (IG, {"iterations": 3, "restarts": 3}, {"batch_size": 2}),
    "masked": (IG, {"iterations": 3, "loss": MASKED}, {}),
    "held_out": (IG, {"iterations": 3, "stop": "held_out"}, {}),
    "labels_too": (DLG, {"iterations": 2}, {}),
    "own_loss": (OwnLoss, {"iterations": 3, "restarts": 2}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_that_of_an_attack_that_computes_for_itself(case: str) -> None:
    kind, options, settings = CASES[case]
    observation = make_round(**settings)[0]
    alone = invert(kind(**options), observation, None, 3, accelerator="cpu")
    with answering(observation) as (channel, oracle):
        asked_of = Oracle(channel).observation()
        asked = invert(kind(**options), asked_of, None, 3, accelerator="cpu")
    assert torch.equal(asked.images, alone.images)
    assert torch.equal(asked.labels, alone.labels)
    assert (asked.matching_loss, asked.path) == (alone.matching_loss, alone.path)
    assert oracle.evaluations == alone.gradient_evaluations * options.get("restarts", 1) or (
        oracle.evaluations == alone.gradient_evaluations
    )


def test_what_is_not_asked_through_the_attack_is_counted_too(observation: Observation) -> None:
    """Nothing that a class does to its own counter reaches the oracle's."""

    class Modest(IG):
        def match(self, images: Tensor, targets: Tensor) -> Any:
            judged = super().match(images, targets)
            self.client.update(images[0], targets[0])
            self.progress.gradient_evaluations = 1
            return judged

    with answering(observation) as (channel, oracle):
        asked_of = Oracle(channel).observation()
        found = invert(Modest(iterations=3), asked_of, None, 3, accelerator="cpu")
    assert found.gradient_evaluations == 1
    assert oracle.evaluations == 8


def test_it_stops_at_the_budget(observation: Observation) -> None:
    with answering(observation, most=3) as (channel, oracle):
        asked_of = Oracle(channel).observation()
        with pytest.raises(BenchmarkError, match="4 gradient evaluations of 3"):
            invert(IG(iterations=10), asked_of, None, 3, accelerator="cpu")
    assert oracle.evaluations == 3


def one(**changes: Tensor) -> bytes:
    question = {"images": torch.rand(1, 1, 3, 32, 32), "targets": torch.zeros(1, 1, dtype=torch.int64)}
    return packed({**question, "wanted": torch.tensor(True), **changes})


ORDER = LossOrder(kind="Cosine", stop="matching_loss", lanes=1, to_the_last_digit=False)


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        (b"?", b"", "no such question"),
        (LOSS, b"{}", "no order of a matching loss"),
        (LOSS, ORDER.model_copy(update={"lanes": 1 << 40}).model_dump_json().encode(), "no order"),
        (LOSS, ORDER.model_copy(update={"weights": [1.0]}).model_dump_json().encode(), "1 weights for"),
        (JUDGE, b"\x00" * 20, "without tensors"),
        (JUDGE, packed({"images": torch.zeros(1)}), "targets"),
        (JUDGE, one(images=torch.rand(2, 1, 3, 32, 32)), "1 lanes at most"),
        (JUDGE, one(images=torch.rand(1, 1, 3, 64, 64)), "images of shape"),
        (JUDGE, one(targets=torch.tensor([[10]])), "labels are not numbers below 10"),
        (UPDATE, one(), "images of shape"),
        (PULL_BACK, packed({"token": torch.tensor(7)}), "differentiated once"),
        (MOMENTS, one(images=torch.rand(1, 3, 32, 32)), "images of shape"),
        (OUTPUT_LAYER, packed({"inputs": torch.rand(65, 3, 32, 32)}), "for 64 images"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_and_costs_nothing(
    observation: Observation, kind: bytes, payload: bytes, reason: str
) -> None:
    with answering(observation) as (channel, oracle):
        assert channel.receive()[0] == HELLO
        channel.send(LOSS, ORDER.model_dump_json().encode())
        assert channel.receive()[0] == LOSS
        channel.send(kind, payload)
        found, said = channel.receive()
        assert found == REFUSED
        assert reason in said.decode()
        assert oracle.evaluations == 0
        # And the next question is answered.
        channel.send(LOSS, ORDER.model_dump_json().encode())
        assert channel.receive()[0] == LOSS


def test_the_attack_is_not_given_the_weights(observation: Observation) -> None:
    with answering(observation) as (channel, _):
        kind, payload = channel.receive()
    assert kind == HELLO
    parameters = dict(observation.victim().named_parameters())
    for name, parameter in parameters.items():
        numbers = parameter.detach().numpy().tobytes()
        # The first biases may be zeros, which any message has.
        assert not bool(parameter.any()) or numbers not in payload, name
    with answering(observation) as (channel, _):
        asked_of = Oracle(channel).observation()
        assert not asked_of.weights.keys() & parameters.keys()
        with pytest.raises(TaskError, match="the victim's weights stay with the gradient oracle"):
            asked_of.victim()


@pytest.mark.parametrize("rule", LABEL_RULES.bundled)
def test_labels_are_inferred_as_by_one_who_has_the_weights(rule: str) -> None:
    size = 1 if rule in FOR_ONE_IMAGE else 4
    observation = make_round(size, threat_model=ThreatModel(labels="inferred"))[0]
    with answering(observation) as (channel, oracle):
        asked_of = Oracle(channel).observation()
        assert torch.equal(infer_labels(asked_of, rule), infer_labels(observation, rule))
        assert oracle.evaluations == 0


def test_what_costs_nothing_is_answered_as_often_as_an_attack_needs_it() -> None:
    observation = make_round(2)[0]
    with answering(observation) as (channel, _):
        asked_of = Oracle(channel).observation()
        inputs = torch.zeros(1, *observation.model.image_shape)
        expected = observation.output_layer(inputs)
        for _ in range(MOST_LAYER_QUESTIONS):
            assert torch.equal(asked_of.output_layer(inputs).features, expected.features)
        with pytest.raises(BenchmarkError, match="the last layer is shown 8 times"):
            asked_of.output_layer(inputs)
        client = RemoteClient(asked_of, torch.device("cpu"))
        images = torch.rand(2, 2, *observation.model.image_shape)
        for _ in range(2):
            for lane in images:
                client.update(lane, torch.zeros(2, dtype=torch.int64))
            client.moments(images)
        with pytest.raises(BenchmarkError, match="statistics of more candidates than gradients"):
            client.moments(images)


def test_a_message_that_is_too_long_is_not_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, HEAD.pack(JUDGE, 1 << 40))
    with pytest.raises(BenchmarkError, match="a message of"):
        Channel(reading, writing, most=100).receive()


def test_batch_norm_statistics_are_matched_as_before() -> None:
    observation = make_round(2)[0]
    attack: type[Attack] = GI
    alone = invert(attack(iterations=2), observation, None, 3, accelerator="cpu")
    with answering(observation) as (channel, _):
        asked_of = Oracle(channel).observation()
        asked = invert(attack(iterations=2), asked_of, None, 3, accelerator="cpu")
    # The images pass the victim once more, in sums of another order.
    assert torch.allclose(asked.images, alone.images, atol=1e-3)
