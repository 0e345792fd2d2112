"""What an audit says of a photograph, of one under strong noise, and of an image of noise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import gifd_bench as gb
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import Defense, NoDefense
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel


class _Random(Photos):
    """Images of noise, labelled as photographs."""

    def image(self, index: int) -> torch.Tensor:
        return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(index))


@pytest.mark.parametrize(
    ("images", "defense", "outcomes", "said"),
    [
        (Photos, NoDefense(), {"recognized"}, "can see the private image"),
        (Photos, GaussianNoise(0.1), {"not_recognized"}, "no proof of safety"),
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
    report = gb.audit(
        task.observe(truth, defense, 0, 0),
        tmp_path / "out",
        images=truth.images,
        labels=truth.labels,
        distractors="photos",
        attacks=["ig"],
        # Many hundreds of gradient evaluations, and enough of them on a slow machine.
        seconds=5,
        progress=False,
    )
    assert report.outcome in outcomes
    assert said in " ".join(report.verdict.sentences)
