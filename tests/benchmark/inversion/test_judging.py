"""Which path candidates are judged by, and that all paths give the same losses and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.choices import Exponential, Matching, Stop
from gifd_bench.benchmark.inversion.factored_victim import FactoredVictim
from gifd_bench.benchmark.inversion.judging import Judge
from gifd_bench.benchmark.inversion.matching import matching_loss
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import Defense, NoDefense
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.composition import Composition
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.defenses.soteria import Soteria
from gifd_bench.tasks.defenses.sparsification import Sparsification
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel

VICTIMS: dict[str, tuple[str, dict[str, Any]]] = {
    "convnet": ("convnet", {"width": 4}),
    "resnet18": ("torchvision", {}),
}
LOSSES = {
    "cosine": Matching("cosine"),
    "weighted": Matching("cosine", weights=Exponential(0.1)),
    "layerwise": Matching("layerwise_cosine"),
    "euclidean": Matching("euclidean"),
}
DEFENSES: dict[str, Defense] = {
    "none": NoDefense(),
    "noise": GaussianNoise(0.01),
    "clipping": Clipping(0.5),
    "soteria": Soteria(0.5),
    "all": Composition((Soteria(0.5), Clipping(0.5), GaussianNoise(0.001))),
}


def observed(victim: str, defense: Defense, known: Any, size: int = 32, **settings: Any) -> Observation:
    name, options = VICTIMS[victim]
    threat_model = ThreatModel(defense=known, labels="known")
    task = Task(Photos(size), name, options, TaskSettings(threat_model=threat_model, **settings))
    return task.observe(task.truth(0), defense, model_seed=0, defense_seed=0)


def judge_of(observation: Observation, loss: Matching, lanes: int, stop: Stop = "matching_loss") -> Judge:
    client = SimulatedClient(observation, torch.device("cpu"))
    return Judge(client, matching_loss(loss), stop, lanes, to_the_last_digit=False)


def candidates(observation: Observation, lanes: int) -> tuple[Tensor, Tensor]:
    batch, size = observation.batch_size, observation.model.image_size
    images = torch.rand(lanes, batch, 3, size, size, generator=torch.Generator().manual_seed(1))
    assert observation.labels is not None
    return images, observation.labels.expand(lanes, batch)


def losses_and_gradients(judge: Judge, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    images = images.clone().requires_grad_()
    judged = judge(images, targets)
    assert torch.equal(judged.criterion, judged.objective)
    assert torch.equal(judged.matching_loss, judged.objective)
    return judged.criterion, torch.autograd.grad(judged.objective.sum(), images)[0]


def assert_paths_agree(
    observation: Observation, loss: Matching, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(FactoredVictim, "mostly_forms", False)
        factored = judge_of(observation, loss, lanes)
    assert factored.path == "factored"
    with monkeypatch.context() as patched:
        patched.setattr("gifd_bench.benchmark.inversion.judging.FactoredMatching.serves", lambda *_: False)
        general = judge_of(observation, loss, lanes)
    assert general.path == "general"
    images, targets = candidates(observation, lanes)
    found, expected = (losses_and_gradients(judge, images, targets) for judge in (factored, general))
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=0)
    for mine, theirs in zip(found[1], expected[1], strict=True):
        assert torch.linalg.vector_norm(mine - theirs) <= 1e-4 * torch.linalg.vector_norm(theirs)


@pytest.mark.parametrize("known", ["unknown", "kind", "parameters"])
@pytest.mark.parametrize("defense", DEFENSES)
@pytest.mark.parametrize("loss", LOSSES)
def test_both_paths_agree_under_each_defense(
    loss: str, defense: str, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    observation = observed("convnet", DEFENSES[defense], known, batch_size=2)
    assert_paths_agree(observation, LOSSES[loss], 2, monkeypatch)


@pytest.mark.parametrize("loss", LOSSES)
def test_both_paths_agree_on_a_deep_victim(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    observation = observed("resnet18", DEFENSES["all"], "parameters")
    assert_paths_agree(observation, LOSSES[loss], 1, monkeypatch)


@pytest.mark.parametrize(
    ("loss", "stop", "defense", "settings"),
    [
        (Matching("l1"), "matching_loss", NoDefense(), {}),
        (Matching("masked_cosine", 0.1), "matching_loss", NoDefense(), {}),
        (Matching("cosine"), "held_out", NoDefense(), {}),
        (Matching("cosine"), "matching_loss", Sparsification(), {}),
        (Matching("cosine"), "matching_loss", Composition((Clipping(), Soteria())), {}),
        (
            Matching("cosine"),
            "matching_loss",
            NoDefense(),
            {"batch_size": 2, "client": ClientSettings(local=FedAvg(2, 1, 0.05))},
        ),
    ],
    ids=["l1", "masked", "held out", "mask of weights", "mask after clipping", "local training"],
)
def test_what_needs_gradients_takes_the_general_path(
    loss: Matching,
    stop: Stop,
    defense: Defense,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FactoredVictim, "mostly_forms", False)
    observation = observed("convnet", defense, "parameters", **settings)
    assert judge_of(observation, loss, 2, stop).path == "general"


def test_a_small_victim_is_left_to_autograd() -> None:
    observation = observed("convnet", NoDefense(), "unknown")
    assert judge_of(observation, Matching("cosine"), 1).path == "general"
