"""What clients send: one gradient, a difference after local training, a mean over clients; and that an
attacker who knows the settings computes the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.batch_norm import batch_norm_layers
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel
from gifd_bench.tasks.truth import Truth
from tests.rounds import make_round, make_task

CPU = torch.device("cpu")
BN_MODEL = {"depth": 20, "width": 4}


def bn_task(batch_size: int = 2, **settings: Any) -> Task:
    return Task(Photos(16), "resnet_cifar", BN_MODEL, TaskSettings(batch_size=batch_size, **settings))


def bn_round(batch_size: int = 2, **settings: Any) -> tuple[Observation, Truth]:
    task = bn_task(batch_size, **settings)
    truth = task.truth(1)
    return task.observe(truth, NoDefense(), 0, 0), truth


def inputs_of(truth: Truth) -> Tensor:
    return (truth.images - 0.5) / 0.25


def attackers_update(observation: Observation, truth: Truth) -> list[Tensor]:
    client = SimulatedClient(observation, CPU)
    return [u.detach() for u in client.update(truth.images, truth.labels)]


def assert_attacker_computes_the_same(observation: Observation, truth: Truth) -> None:
    for mine, sent in zip(attackers_update(observation, truth), observation.update.values(), strict=True):
        torch.testing.assert_close(mine, sent, atol=1e-5, rtol=0)


def slow_training(model: nn.Module, inputs: Tensor, labels: Tensor, local: FedAvg) -> dict[str, Tensor]:
    """Plain gradient descent with torch's own optimizer."""
    trained = copy.deepcopy(model)
    optimizer = torch.optim.SGD(trained.parameters(), lr=local.learning_rate)
    for _ in range(local.epochs):
        for its_inputs, its_labels in zip(
            inputs.split(local.batch_size), labels.split(local.batch_size), strict=True
        ):
            optimizer.zero_grad()
            F.cross_entropy(trained(its_inputs), its_labels).backward()
            optimizer.step()
    before = dict(model.named_parameters())
    return {name: (p - before[name]).detach() for name, p in trained.named_parameters()}


def test_one_step_of_one_epoch_is_the_gradient_times_minus_the_learning_rate() -> None:
    local = FedAvg(epochs=1, batch_size=3, learning_rate=0.05)
    gradient, _ = make_round(3)
    difference, _ = make_round(3, client=ClientSettings(local=local))
    assert difference.is_difference
    assert not gradient.is_difference
    for name, sent in difference.update.items():
        torch.testing.assert_close(sent, -0.05 * gradient.update[name], atol=1e-6, rtol=0)
        torch.testing.assert_close(difference.gradient()[name], gradient.update[name], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("local", [FedAvg(2, 2, 0.1), FedAvg(3, 1, 0.05), FedAvg(1, 3, 0.2)])
def test_local_training_is_plain_gradient_descent_and_the_attacker_unrolls_it(local: FedAvg) -> None:
    observation, truth = make_round(3, client=ClientSettings(local=local))
    slow = slow_training(observation.victim(), inputs_of(truth), truth.labels, local)
    for name, sent in observation.update.items():
        torch.testing.assert_close(sent, slow[name], atol=1e-6, rtol=0)
    assert_attacker_computes_the_same(observation, truth)


def test_the_unrolled_update_is_differentiable_in_the_images() -> None:
    # A smooth model: across the kinks of a ReLU a finite difference says nothing.
    settings = TaskSettings(2, client=ClientSettings(local=FedAvg(2, 1, 0.1)))
    task = Task(Photos(16), "lenet", {}, settings)
    truth = task.truth(0)
    client = SimulatedClient(task.observe(truth, NoDefense(), 0, 0), CPU)
    images = truth.images.clone().requires_grad_()

    def energy(x: Tensor) -> Tensor:
        return torch.stack([u.square().sum() for u in client.update(x, truth.labels)]).sum()

    (slope,) = torch.autograd.grad(energy(images), images)
    direction = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    step = 1e-2
    with torch.no_grad():
        rise = (energy(images + step * direction) - energy(images - step * direction)) / (2 * step)
    assert float((slope * direction).sum()) == pytest.approx(float(rise), rel=0.05)


def test_a_mean_over_clients_is_the_mean_of_what_each_would_send() -> None:
    local = FedAvg(2, 1, 0.1)
    together, truth = make_round(2, client=ClientSettings(local=local, clients=2))
    assert together.batch_size == 4
    alone = [
        slow_training(together.victim(), its_inputs, its_labels, local)
        for its_inputs, its_labels in zip(inputs_of(truth).split(2), truth.labels.split(2), strict=True)
    ]
    for name, sent in together.update.items():
        torch.testing.assert_close(sent, (alone[0][name] + alone[1][name]) / 2, atol=1e-6, rtol=0)
    assert_attacker_computes_the_same(together, truth)


def test_a_mean_of_gradients_is_the_gradient_of_all_images() -> None:
    together, truth = make_round(2, client=ClientSettings(clients=2))
    one, same = make_round(4)
    assert torch.equal(truth.images, same.images)
    for name, sent in together.update.items():
        torch.testing.assert_close(sent, one.update[name], atol=1e-6, rtol=0)
    assert_attacker_computes_the_same(together, truth)


@pytest.mark.parametrize("batch_norm", ["eval", "train"])
@pytest.mark.parametrize("local", [None, FedAvg(2, 2, 0.05)])
@pytest.mark.parametrize("clients", [1, 2])
def test_the_attacker_follows_the_mode_of_batch_norm(
    batch_norm: Any, local: FedAvg | None, clients: int
) -> None:
    settings = ClientSettings(local, clients, batch_norm)
    observation, truth = bn_round(client=settings)
    assert_attacker_computes_the_same(observation, truth)
    # Again, in case that a forward pass changed what the next one sees.
    client = SimulatedClient(observation, CPU)
    first, second = (client.update(truth.images, truth.labels) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_mode_of_batch_norm_matters() -> None:
    evaluated, _ = bn_round()
    trained, _ = bn_round(client=ClientSettings(batch_norm="train"))
    assert any(not torch.allclose(sent, trained.update[name]) for name, sent in evaluated.update.items())


def test_buffers_after_the_round_are_sent_where_the_client_sends_them() -> None:
    silent, _ = bn_round(client=ClientSettings(batch_norm="train"))
    assert not silent.buffers
    sending, truth = bn_round(client=ClientSettings(batch_norm="train", send_buffers=True))
    model = copy.deepcopy(sending.victim()).train()
    model(inputs_of(truth))
    for name, layer in batch_norm_layers(model):
        assert layer.running_mean is not None
        torch.testing.assert_close(sending.buffers[f"{name}.running_mean"], layer.running_mean)
        assert not torch.equal(layer.running_mean, sending.weights[f"{name}.running_mean"])


@pytest.mark.parametrize("batch_norm", ["eval", "train"])
def test_statistics_of_the_batch_are_granted_as_they_are(batch_norm: Any) -> None:
    observation, truth = bn_round(
        client=ClientSettings(batch_norm=batch_norm), threat_model=ThreatModel(bn_statistics="batch")
    )
    seen: dict[str, Tensor] = {}
    model = copy.deepcopy(observation.victim())
    for name, layer in batch_norm_layers(model):
        layer.train(batch_norm == "train")
        layer.register_forward_pre_hook(lambda _, i, name=name: seen.__setitem__(name, i[0].detach()))
    model(inputs_of(truth))
    moments = observation.batch_norm_moments()
    assert moments is not None
    assert moments.keys() == seen.keys()
    for name, x in seen.items():
        for channel in range(x.shape[1]):
            values = x[:, channel].flatten()
            assert float(moments[name].mean[channel]) == pytest.approx(float(values.mean()), abs=1e-5)
            expected = float(values.var(unbiased=False))
            assert float(moments[name].var[channel]) == pytest.approx(expected, abs=1e-5)


def test_statistics_of_clients_are_pooled() -> None:
    granted = ThreatModel(bn_statistics="batch")
    two, _ = bn_round(2, client=ClientSettings(clients=2), threat_model=granted)
    one, _ = bn_round(4, threat_model=granted)
    expected = one.batch_norm_moments()
    pooled = two.batch_norm_moments()
    assert expected is not None
    assert pooled is not None
    for name, moments in expected.items():
        torch.testing.assert_close(pooled[name].mean, moments.mean, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(pooled[name].var, moments.var, atol=1e-5, rtol=1e-4)


def test_statistics_of_the_model_or_none() -> None:
    of_the_model, _ = bn_round()
    moments = of_the_model.batch_norm_moments()
    assert moments is not None
    for name, layer in batch_norm_layers(of_the_model.victim()):
        assert layer.running_var is not None
        assert torch.equal(moments[name].var, layer.running_var)
    none, _ = bn_round(threat_model=ThreatModel(bn_statistics="none"))
    assert none.batch_norm_moments() is None
    assert none.batch_statistics is None


def test_unknown_local_settings_leave_a_direction() -> None:
    local = FedAvg(1, 3, 0.05)
    known, truth = make_round(3, client=ClientSettings(local=local))
    unknown, _ = make_round(
        3, client=ClientSettings(local=local), threat_model=ThreatModel(local_settings="unknown")
    )
    assert unknown.client is None
    for name, sent in unknown.update.items():
        assert torch.equal(sent, known.update[name])
    flat = [
        torch.cat([t.flatten() for t in ts]) for ts in (attackers_update(unknown, truth), sent_of(unknown))
    ]
    assert float(F.cosine_similarity(flat[0], flat[1], dim=0)) == pytest.approx(1, abs=1e-4)


def sent_of(observation: Observation) -> list[Tensor]:
    return list(observation.update.values())


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("unknown", None),
        ("kind", (("gaussian_noise", None),)),
        ("parameters", (("gaussian_noise", {"std": 0.1}),)),
    ],
)
def test_knowledge_of_the_defense_is_what_the_threat_model_grants(level: Any, expected: Any) -> None:
    task = make_task(threat_model=ThreatModel(defense=level))
    observation = task.observe(task.truth(0), GaussianNoise(0.1), 0, 0)
    known = observation.defenses
    assert (None if known is None else tuple((d.name, d.parameters) for d in known)) == expected


def test_every_client_adds_its_own_noise() -> None:
    def noise(clients: int) -> float:
        task = make_task(1, client=ClientSettings(clients=clients))
        truth = task.truth(0)
        pairs = (task.observe(truth, defense, 0, 0).update for defense in (GaussianNoise(0.1), NoDefense()))
        noisy, clean = pairs
        return float(torch.cat([(noisy[n] - clean[n]).flatten() for n in clean]).std())

    assert noise(1) == pytest.approx(0.1, rel=0.05)
    assert noise(4) == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: FedAvg(epochs=0), "at least 1"),
        (lambda: FedAvg(batch_size=0), "at least 1"),
        (lambda: FedAvg(learning_rate=0.0), "positive"),
        (lambda: FedAvg(learning_rate=float("nan")), "positive"),
        (lambda: ClientSettings(clients=0), "clients must be 1 to 10,000"),
        (lambda: ClientSettings(send_buffers=True), "batch_norm=train"),
        (lambda: ClientSettings(batch_norm="test"), "one of eval, train"),  # type: ignore[arg-type]
        (lambda: ThreatModel(labels="guessed"), "one of known, inferred"),  # type: ignore[arg-type]
        (lambda: TaskSettings(batch_size=0), "between 1 and 64"),
        (lambda: TaskSettings(batch_size=33, client=ClientSettings(clients=2)), "33 x 2"),
        (lambda: TaskSettings(weights="file"), "weights_file"),
    ],
)
def test_settings_that_make_no_sense(wrong: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message) as error:
        wrong()
    assert "\n" not in str(error.value)


def test_a_batch_of_one_value_a_channel_has_no_statistics() -> None:
    task = Task(
        Photos(32),
        "torchvision",
        {"architecture": "resnet18"},
        TaskSettings(client=ClientSettings(batch_norm="train")),
    )
    with pytest.raises(TaskError, match="cannot compute its update: Expected more than 1 value"):
        task.observe(task.truth(0), NoDefense(), 0, 0)
