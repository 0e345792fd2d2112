"""Which path candidates are judged by; that all give the same is in `test_parity`."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gifd_bench.benchmark.inversion.choices import Matching, Stop
from gifd_bench.benchmark.inversion.factored_victim import FactoredVictim
from gifd_bench.benchmark.inversion.judging import Judge
from gifd_bench.benchmark.inversion.matching import matching_loss
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import Defense, NoDefense
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.composition import Composition
from gifd_bench.tasks.defenses.quantisation import Sign
from gifd_bench.tasks.defenses.soteria import Soteria
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel


def observed(defense: Defense, known: Any, **settings: Any) -> Observation:
    threat_model = ThreatModel(defense=known, labels="known")
    task = Task(Photos(32), "convnet", {"width": 4}, TaskSettings(threat_model=threat_model, **settings))
    return task.observe(task.truth(0), defense, model_seed=0, defense_seed=0)


def judge_of(observation: Observation, loss: Matching, lanes: int, stop: Stop = "matching_loss") -> Judge:
    client = SimulatedClient(observation, torch.device("cpu"))
    return Judge([client], matching_loss(loss), stop, lanes, to_the_last_digit=False)


@pytest.mark.parametrize(
    ("loss", "stop", "defense", "settings"),
    [
        (Matching("l1"), "matching_loss", NoDefense(), {}),
        (Matching("masked_cosine", 0.1), "matching_loss", NoDefense(), {}),
        (Matching("cosine"), "held_out", NoDefense(), {}),
        (Matching("cosine"), "matching_loss", Sign(), {}),
        (Matching("cosine"), "matching_loss", Composition((Clipping(), Soteria())), {}),
        (
            Matching("cosine"),
            "matching_loss",
            NoDefense(),
            {"batch_size": 2, "client": ClientSettings(local=FedAvg(2, 1, 0.05))},
        ),
    ],
    ids=["l1", "masked", "held out", "signs", "mask after clipping", "local training"],
)
def test_what_needs_gradients_takes_the_general_path(
    loss: Matching,
    stop: Stop,
    defense: Defense,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FactoredVictim, "mostly_forms", False)
    observation = observed(defense, "parameters", **settings)
    assert judge_of(observation, loss, 2, stop).path == "general"


def test_a_small_victim_is_left_to_autograd() -> None:
    observation = observed(NoDefense(), "unknown")
    assert judge_of(observation, Matching("cosine"), 1).path == "general"
