"""The client as it is: optimizers, losses, modes, weights of clients, and parts of the parameters."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.matrix.task import settings_from
from gifd_bench.common.hashing import canonical
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.losses import Loss
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.stated import stated
from gifd_bench.tasks.threat_model import ThreatModel
from gifd_bench.tasks.truth import Truth
from tests.rounds import make_round, make_task

LOCALS = {
    "momentum": FedAvg(2, 2, 0.05, momentum=0.9),
    "nesterov": FedAvg(2, 1, 0.05, momentum=0.5, nesterov=True),
    "weight decay": FedAvg(3, 2, 0.05, weight_decay=0.1),
    "adam": FedAvg(2, 2, 0.001, "adam"),
    "adam with decay": FedAvg(1, 1, 0.001, "adam", weight_decay=0.1, betas=(0.5, 0.9)),
    "adamw": FedAvg(2, 2, 0.001, "adamw", weight_decay=0.1),
}


def explained(observation: Observation, truth: Truth, tolerance: float = 1e-6) -> None:
    """The attacker who knows the settings computes what was sent."""
    client = SimulatedClient(observation, torch.device("cpu"))
    for mine, sent in zip(client.update(truth.images, truth.labels), client.observed, strict=True):
        torch.testing.assert_close(mine.detach(), sent, atol=tolerance, rtol=1e-3)


def plainly_trained(observation: Observation, truth: Truth, local: FedAvg) -> dict[str, Tensor]:
    model = copy.deepcopy(observation.victim())
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    common: dict[str, Any] = {"lr": local.learning_rate, "weight_decay": local.weight_decay}
    if local.optimizer == "sgd":
        optimizer: Any = torch.optim.SGD(
            model.parameters(), momentum=local.momentum, nesterov=local.nesterov, **common
        )
    else:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[local.optimizer]
        optimizer = kind(model.parameters(), betas=local.betas, **common)
    inputs = (truth.images - 0.5) / 0.25
    for _ in range(local.epochs):
        for x, y in zip(inputs.split(local.batch_size), truth.labels.split(local.batch_size), strict=True):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return {name: value.detach() - before[name] for name, value in model.named_parameters()}


@pytest.mark.parametrize("name", LOCALS)
def test_local_training_is_pytorchs_and_the_attacker_unrolls_it(name: str) -> None:
    local = LOCALS[name]
    observation, truth = make_round(3, client=ClientSettings(local=local))
    expected = plainly_trained(observation, truth, local)
    for parameter, sent in observation.update.items():
        torch.testing.assert_close(sent, expected[parameter], atol=1e-7, rtol=1e-4)
    explained(observation, truth, 2e-5)


@pytest.mark.parametrize("name", LOCALS)
def test_an_unrolled_optimizer_has_a_finite_slope_in_the_images(name: str) -> None:
    observation, truth = make_round(2, client=ClientSettings(local=replace(LOCALS[name], epochs=2)))
    client = SimulatedClient(observation, torch.device("cpu"))
    images = truth.images.clone().requires_grad_()
    energy = torch.stack([u.square().sum() for u in client.update(images, truth.labels)]).sum()
    (slope,) = torch.autograd.grad(energy, images)
    assert bool(slope.isfinite().all())
    assert bool(slope.any())


def test_the_length_of_the_steps_of_momentum() -> None:
    local = FedAvg(3, 1, 0.1, momentum=0.5)
    # 1, 1.5 and 1.75 times the learning rate.
    assert local.step_lengths(1) == pytest.approx(0.425)
    assert FedAvg(3, 2, 0.1).step_lengths(4) == pytest.approx(0.6)


LOSSES = {
    "sum": Loss(reduction="sum"),
    "label smoothing": Loss(label_smoothing=0.1),
    "class weights": Loss(class_weights=tuple(range(1, 11))),
    "binary": Loss("binary_cross_entropy"),
    "binary sum": Loss("binary_cross_entropy", reduction="sum"),
    "own": Loss(f"{__name__}:focal"),
}


def focal(logits: Tensor, labels: Tensor) -> Tensor:
    """Somebody's own loss (Lin et al., "Focal loss for dense object detection", ICCV 2017)."""
    each = F.cross_entropy(logits, labels, reduction="none")
    return ((1 - (-each).exp()).square() * each).mean()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("local", [None, FedAvg(2, 2, 0.05)])
@pytest.mark.parametrize("clients", [1, 2])
def test_any_loss_is_sent_and_simulated(name: str, local: FedAvg | None, clients: int) -> None:
    client = ClientSettings(local, clients, loss=LOSSES[name])
    observation, truth = make_round(2, client=client)
    explained(observation, truth, 1e-5)
    plain, _ = make_round(2, client=replace(client, loss=Loss()))
    assert any(not torch.allclose(v, plain.update[n], atol=1e-7) for n, v in observation.update.items())


def test_losses_are_pytorchs() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(4, 5, generator=generator), torch.tensor([0, 1, 1, 4])
    weights = torch.tensor([1.0, 2, 3, 4, 5])
    several = torch.tensor([[1.0, 0, 1, 0, 0]] * 4)
    binary = F.binary_cross_entropy_with_logits
    pairs = [
        (Loss(), labels, F.cross_entropy(logits, labels)),
        (
            Loss(class_weights=(1, 2, 3, 4, 5), label_smoothing=0.2),
            labels,
            F.cross_entropy(logits, labels, weight=weights, label_smoothing=0.2),
        ),
        (Loss(reduction="sum"), labels, F.cross_entropy(logits, labels, reduction="sum")),
        (Loss("binary_cross_entropy"), several, binary(logits, several)),
        (
            Loss("binary_cross_entropy", class_weights=(1, 2, 3, 4, 5)),
            several,
            binary(logits, several, pos_weight=weights),
        ),
        (Loss("binary_cross_entropy"), labels, binary(logits, F.one_hot(labels, 5).float())),
    ]
    for loss, targets, expected in pairs:
        assert torch.equal(loss.function()(logits, targets), expected)


def test_a_sum_is_an_estimate_of_the_mean_gradient_all_the_same() -> None:
    summed, truth = make_round(3, client=ClientSettings(loss=Loss(reduction="sum")))
    mean, _ = make_round(3)
    for name, value in summed.gradient().items():
        torch.testing.assert_close(value, mean.update[name], atol=1e-6, rtol=1e-4)
    assert len(truth.labels) == 3


def test_clients_of_unequal_weight() -> None:
    settings = ClientSettings(FedAvg(1, 1, 0.1), clients=2, weights=(3, 1))
    together, truth = make_round(1, client=settings)
    alone = [
        plainly_trained(
            together, Truth(truth.images[i : i + 1], truth.labels[i : i + 1]), FedAvg(1, 1, 0.1)
        )
        for i in range(2)
    ]
    for name, sent in together.update.items():
        expected = 0.75 * alone[0][name] + 0.25 * alone[1][name]
        torch.testing.assert_close(sent, expected, atol=1e-7, rtol=1e-4)
    explained(together, truth)


@pytest.mark.parametrize("local", [None, FedAvg(2, 1, 0.1)])
def test_a_part_is_trained_or_sent(local: FedAvg | None, tmp_path: Path) -> None:
    whole, _ = make_round(2, client=ClientSettings(local))
    sent, truth = make_round(2, client=ClientSettings(local, sent=("classifier.*",)))
    trained, _ = make_round(2, client=ClientSettings(local, trained=("classifier.*",)))
    names = ["classifier.weight", "classifier.bias"]
    assert list(sent.update) == list(trained.update) == names
    # What is not sent is trained all the same.
    assert all(torch.equal(sent.update[name], whole.update[name]) for name in names)
    if local is not None:
        assert any(not torch.equal(sent.update[name], trained.update[name]) for name in names)
    for observation in (sent, trained):
        explained(observation, truth)
        observation.save(tmp_path / "it.safetensors")
        loaded = Observation.load(tmp_path / "it.safetensors")
        assert loaded.client == observation.client
        explained(loaded, truth)
        (tmp_path / "it.safetensors").unlink()


def test_dropout_draws_from_the_rounds_seed_alone() -> None:
    settings = TaskSettings(2, client=ClientSettings(dropout="train"))
    from gifd_bench.tasks.datasets.photos import Photos
    from gifd_bench.tasks.task import Task

    task = Task(Photos(32), "torchvision", {"architecture": "squeezenet1_1"}, settings)
    truth = task.truth(0)
    one, same, other = (task.observe(truth, NoDefense(), 0, seed).update for seed in (1, 1, 2))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert any(not torch.equal(value, other[name]) for name, value in one.items())


def test_the_settings_of_old_are_stated_as_they_were() -> None:
    assert stated(TaskSettings(client=ClientSettings(FedAvg())))["client"] == {
        "local": {"epochs": 1, "batch_size": 1, "learning_rate": 0.01},
        "clients": 1,
        "batch_norm": "eval",
        "send_buffers": False,
    }
    new = TaskSettings(
        client=ClientSettings(
            FedAvg(optimizer="adam", weight_decay=0.1),
            clients=2,
            dropout="train",
            loss=Loss(class_weights=(1, 2), label_smoothing=0.1),
            sent=("a.*",),
            weights=(1, 2),
        ),
        threat_model=ThreatModel(labels="known"),
    )
    assert settings_from(stated(new)) == new
    assert canonical(stated(new)) != canonical(stated(TaskSettings()))


def test_an_own_loss_is_imported_only_where_it_is_named(tmp_path: Path) -> None:
    observation, _ = make_round(1, client=ClientSettings(loss=LOSSES["own"]))
    observation.save(tmp_path / "it.safetensors")
    with pytest.raises(TaskError, match=r"its loss is .* name it yourself"):
        Observation.load(tmp_path / "it.safetensors")
    loaded = Observation.load(tmp_path / "it.safetensors", imports=[f"{__name__}:focal"])
    assert loaded.client == observation.client


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: FedAvg(momentum=1.0), r"in \[0, 1\)"),
        (lambda: FedAvg(optimizer="adam", momentum=0.9), "option of sgd"),
        (lambda: FedAvg(nesterov=True), "needs a momentum"),
        (lambda: FedAvg(optimizer="lion"), "one of sgd, adam, adamw"),  # type: ignore[arg-type]
        (lambda: FedAvg(epsilon=0.0), "must be positive"),
        (lambda: ClientSettings(clients=2, weights=(1,)), "2 positive numbers"),
        (lambda: Loss(label_smoothing=1.0), r"in \[0, 1\)"),
        (lambda: Loss("binary_cross_entropy", label_smoothing=0.1), "cross_entropy alone"),
        (lambda: Loss("my.py:loss", reduction="sum"), "options of bundled losses"),
        (lambda: Loss("hinge").function(), "no loss 'hinge'"),
        (lambda: make_round(1, client=ClientSettings(sent=("fc.*",))), "no parameter is called 'fc"),
        (lambda: make_round(1, client=ClientSettings(loss=Loss(class_weights=(1,)))), "1 given for"),
    ],
)
def test_settings_that_make_no_sense(wrong: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message) as error:
        wrong()
    assert "\n" not in str(error.value)


def test_a_client_of_a_task_is_written_in_yaml() -> None:
    settings = settings_from(
        {
            "batch_size": 2,
            "client": {
                "local": {"epochs": 2, "optimizer": "adam", "learning_rate": 0.001},
                "loss": {"use": "cross_entropy", "label_smoothing": 0.1},
                "trained": ["classifier.*"],
                "dropout": "train",
            },
        }
    )
    assert settings.client.local == FedAvg(2, 1, 0.001, "adam")
    assert settings.client.loss == Loss(label_smoothing=0.1)
    assert settings.client.trained == ("classifier.*",)
    task = make_task(2, client=replace(settings.client, dropout="eval"))
    assert list(task.observe(task.truth(0), NoDefense(), 0, 0).update) == [
        "classifier.weight",
        "classifier.bias",
    ]
