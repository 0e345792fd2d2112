"""What attacks judge candidates by, against whole gradients by double backward in double precision.

Single precision is no reference: of eleven million entries the sum of squared differences alone is rounded
by more than what the two ways may differ by.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.choices import DISTANCES, Exponential, Matching, Path
from gifd_bench.benchmark.inversion.factored_matching import FactoredMatching
from gifd_bench.benchmark.inversion.factored_victim import FactoredVictim
from gifd_bench.benchmark.inversion.judging import Judge
from gifd_bench.benchmark.inversion.matching import matching_loss
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import Defense
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.composition import Composition
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.defenses.soteria import Soteria
from gifd_bench.tasks.defenses.sparsification import Sparsification
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel

HERE = "tests.benchmark.inversion.small_victims"
# Model, options, side of an image, and the path that it takes.
VICTIMS: dict[str, tuple[str, dict[str, Any], int, Path]] = {
    "convnet": ("convnet", {"width": 4}, 16, "factored"),
    "resnet18": ("torchvision", {"architecture": "resnet18"}, 32, "factored"),
    "vgg": (f"{HERE}:vgg", {}, 16, "factored"),
    "mobilenet": (f"{HERE}:mobilenet", {}, 32, "factored"),
    "convnext": ("timm", {"architecture": "test_convnext"}, 32, "mixed"),
    "vit": ("timm", {"architecture": "test_vit"}, 32, "mixed"),
    "vgg11 as published": ("torchvision", {"architecture": "vgg11_bn"}, 32, "factored"),
    "mobilenet v3 as published": ("torchvision", {"architecture": "mobilenet_v3_small"}, 32, "factored"),
    "convnext as published": ("timm", {"architecture": "convnext_atto"}, 32, "mixed"),
    "vit as published": ("timm", {"architecture": "vit_tiny_patch16_224"}, 32, "mixed"),
}
LOSSES = {
    "cosine": Matching("cosine"),
    "weighted": Matching("cosine", weights=Exponential(0.1)),
    "layerwise_cosine": Matching("layerwise_cosine"),
    "euclidean": Matching("euclidean"),
    "l1": Matching("l1"),
    "masked_cosine": Matching("masked_cosine", 0.3),
}
NEED_GRADIENTS = {"l1", "masked_cosine"}
# What an attacker who knows of one of these imitates needs the whole gradient.
IMITATED_BY_ENTRY = {"sign"}


def observed(victim: str, defense: Defense, **settings: Any) -> Observation:
    model, options, size, _ = VICTIMS[victim]
    task = Task(Photos(size), model, options, TaskSettings(**settings))
    return task.observe(task.truth(0), defense, model_seed=0, defense_seed=0)


def judge_of(observation: Observation, loss: Matching, lanes: int) -> Judge:
    client = SimulatedClient(observation, torch.device("cpu"))
    return Judge([client], matching_loss(loss), "matching_loss", lanes, to_the_last_digit=False)


@contextmanager
def in_double() -> Iterator[None]:
    """The client computes with the same numbers in double precision, and each candidate's whole
    gradient."""
    victim = Observation.victim

    def prepared(client: SimulatedClient, observation: Observation, device: torch.device) -> None:
        doubled = copy.copy(observation)
        update = {name: tensor.double() for name, tensor in observation.update.items()}
        object.__setattr__(doubled, "update", update)
        begin(client, doubled, device)

    begin = SimulatedClient.__init__
    with (
        patch.object(Observation, "victim", lambda self: copy.deepcopy(victim(self)).double()),
        patch.object(SimulatedClient, "__init__", prepared),
        patch.object(FactoredMatching, "serves", lambda *_: False),
    ):
        yield


def reference_scale(observation: Observation) -> Tensor:
    """Of the terms of a squared distance: the squared norm of what was observed."""
    return torch.stack([tensor.double().square().sum() for tensor in observation.update.values()]).sum()


def losses_and_gradients(judge: Judge, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    images = images.clone().requires_grad_()
    judged = judge(images, targets)
    assert torch.equal(judged.criterion, judged.objective)
    assert torch.equal(judged.matching_loss, judged.objective)
    return judged.criterion, torch.autograd.grad(judged.objective.sum(), images)[0]


def assert_parity(observation: Observation, loss: Matching, path: Path, lanes: int = 2) -> None:
    """Losses of as many candidates to 1e-5, their gradients to 1e-4; by the expected path."""
    shape = (lanes, observation.batch_size, *observation.model.image_shape)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    classes = observation.model.num_classes
    targets = torch.arange(lanes * observation.batch_size).view(lanes, -1) % classes
    with patch.object(FactoredVictim, "mostly_forms", False):
        judge = judge_of(observation, loss, lanes)
    assert judge.path == path
    if path == "general":
        return  # That is whole gradients by double backward.
    found = losses_and_gradients(judge, images, targets)
    with in_double():
        reference = judge_of(observation, loss, lanes)
        expected = losses_and_gradients(reference, images.double(), targets)
    # A distance is a difference of two products, and is rounded as they are: 1 is the scale of a cosine.
    scale = 1.0 if loss.ignores_scale else float(reference_scale(observation))
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-5, atol=1e-6 * scale)
    for mine, theirs in zip(found[1].double(), expected[1], strict=True):
        assert torch.linalg.vector_norm(mine - theirs) <= 1e-4 * torch.linalg.vector_norm(theirs)


@cache
def undefended(victim: str, batch: int) -> Observation:
    return observed(victim, DEFENSES.find("none")(), batch_size=batch)


def cases_of_victims() -> Iterator[Any]:
    """Every victim, batch and loss; of the victims that take seconds, one case alone is fast."""
    for victim, batch, loss in product(VICTIMS, (1, 4), sorted(LOSSES)):
        marks = [pytest.mark.nightly] if "published" in victim else []
        if victim in ("resnet18", "mobilenet") and (batch, loss) != (1, "cosine"):
            marks = [pytest.mark.slow]
        yield pytest.param(victim, batch, loss, marks=marks)


@pytest.mark.parametrize(("victim", "batch", "loss"), cases_of_victims())
def test_each_victim(victim: str, batch: int, loss: str) -> None:
    path = "general" if loss in NEED_GRADIENTS else VICTIMS[victim][3]
    assert_parity(undefended(victim, batch), LOSSES[loss], path)


@pytest.mark.parametrize("known", ["unknown", "kind", "parameters"])
@pytest.mark.parametrize("defense", sorted(DEFENSES.bundled))
def test_each_defense_and_what_is_known_of_it(defense: str, known: Any) -> None:
    threat_model = ThreatModel(defense=known)
    observation = observed("convnet", DEFENSES.make(defense, {}), batch_size=2, threat_model=threat_model)
    for name, loss in LOSSES.items():
        whole = name in NEED_GRADIENTS or (defense in IMITATED_BY_ENTRY and known != "unknown")
        assert_parity(observation, loss, "general" if whole else "factored")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cosine", "euclidean"])
def test_defenses_one_after_another_on_a_deep_victim(loss: str) -> None:
    hidden = Composition((Soteria(0.5), Clipping(0.5), GaussianNoise(0.001)))
    for defense in (hidden, Composition((Sparsification(0.9), Clipping(0.5)))):
        observation = observed("resnet18", defense, threat_model=ThreatModel(defense="parameters"))
        assert_parity(observation, LOSSES[loss], "factored", lanes=1)


STEP = FedAvg(1, 2, 0.05)
CLIENTS: dict[str, tuple[ClientSettings, Any, Path]] = {
    "two clients": (ClientSettings(clients=2), "known", "factored"),
    "two clients, weighted": (ClientSettings(clients=2, weights=(1.0, 3.0)), "known", "general"),
    "one step": (ClientSettings(local=STEP), "known", "general"),
    "one step of unknown settings": (ClientSettings(local=STEP), "unknown", "factored"),
    "two steps": (ClientSettings(local=FedAvg(1, 1, 0.05)), "known", "general"),
    "batch statistics": (ClientSettings(batch_norm="train"), "known", "general"),
    "dropout": (ClientSettings(dropout="train"), "known", "factored"),
    "some parameters sent": (ClientSettings(sent=("*weight",)), "known", "factored"),
}


@pytest.mark.parametrize("labels", ["known", "inferred"])
@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_and_threat_model(client: str, labels: Any) -> None:
    settings, local, path = CLIENTS[client]
    threat_model = ThreatModel(labels=labels, local_settings=local)
    observation = observed(
        "vgg", DEFENSES.find("none")(), batch_size=2, client=settings, threat_model=threat_model
    )
    for name in ("cosine", "layerwise_cosine"):
        assert_parity(observation, LOSSES[name], path)


def test_every_matching_loss_is_here() -> None:
    assert {loss.distance for loss in LOSSES.values()} == set(DISTANCES)
