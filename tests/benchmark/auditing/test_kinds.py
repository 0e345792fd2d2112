"""What an audit says of a photograph, of one under strong noise, and of an image of noise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gifd_bench.benchmark.auditing.audit import Audit, Silent
from gifd_bench.benchmark.auditing.folder import PortfolioFolder
from gifd_bench.benchmark.auditing.images import named_distractors
from gifd_bench.benchmark.auditing.owner import Owned
from gifd_bench.benchmark.auditing.portfolio import Wanted
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import Defense, NoDefense
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel


class _Random(Photos):
    """Images of noise, labeled as photographs."""

    def image(self, index: int) -> torch.Tensor:
        return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(index))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "defense", "outcomes", "said"),
    [
        (Photos, NoDefense(), {"recognized"}, "can see the private image"),
        (Photos, GaussianNoise(0.1), {"not_recognized"}, "does not prove safety"),
        # What reads it is a leak; what does not says nothing of photographs.
        (_Random, NoDefense(), {"recognized", "partly", "unjudged"}, "private image"),
    ],
    ids=["photograph", "noise on the update", "random image"],
)
def test_the_verdict_on(
    images: type[Photos], defense: Defense, outcomes: set[str], said: str, tmp_path: Path
) -> None:
    granted = ThreatModel(defense="parameters")
    task = Task(images(16), "convnet", {"width": 8}, TaskSettings(threat_model=granted))
    truth = task.truth(0)
    observation = task.observe(truth, defense, 0, 0)
    # So many iterations, however slow the machine.
    wanted = Wanted.from_names(["ig"], [], ["--attacks.ig.iterations=300"])
    work = Audit(observation, PortfolioFolder(tmp_path / "out"), wanted, 600, 0)
    work.prepare()
    work.attack(Silent(), lambda: False)
    others = named_distractors("photos", observation.model.image_shape)
    report = work.report(Owned.of(observation, truth.images, truth.labels, others))
    assert report.outcome in outcomes
    assert said in " ".join(report.verdict.sentences)
