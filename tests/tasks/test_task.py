"""The victim's side: photographs, models, defenses and what is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense, PrivateBatch, Update
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.losses import Loss
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel
from tests.rounds import make_round, make_task


def test_photographs_are_distinct_and_in_color() -> None:
    images = torch.stack([Photos()[i][0] for i in range(10)])
    assert float(torch.cdist(images.flatten(1), images.flatten(1)).add(torch.eye(10) * 99).min()) > 5
    assert float((images[:, 0] - images[:, 2]).abs().flatten(1).mean(dim=1).min()) > 0.01


def test_a_photograph_is_area_pooled() -> None:
    large, small = Photos(64)[0][0], Photos(32)[0][0]
    torch.testing.assert_close(F.avg_pool2d(large, 2), small, atol=1e-2, rtol=0)


@pytest.mark.parametrize("size", [7, 257])
def test_a_size_out_of_range_is_an_error(size: int) -> None:
    with pytest.raises(TaskError, match="not between 8 and 256"):
        Photos(size)


def test_the_convnet_is_as_large_as_it_says() -> None:
    model = ModelSpec("convnet", 10, 32).build()
    assert 0.1e6 < sum(p.numel() for p in model.parameters()) < 0.2e6


def test_the_update_is_the_gradient_of_the_mean_loss_of_normalized_images() -> None:
    observation, truth = make_round(3)
    victim = observation.victim()
    total = torch.zeros(())
    for image, label in zip(truth.images, truth.labels, strict=True):
        logits = victim(((image - 0.5) / 0.25)[None])[0]
        total = total - torch.log_softmax(logits, dim=0)[label]
    expected = torch.autograd.grad(total / 3, list(victim.parameters()))
    for (name, _), gradient in zip(victim.named_parameters(), expected, strict=True):
        torch.testing.assert_close(observation.update[name], gradient)


def test_targets_are_disjoint_batches() -> None:
    task = make_task(3)
    assert len(task.batches) == 3
    labels = [label for target in range(3) for label in task.truth(target).labels.tolist()]
    assert labels == list(range(9))


def test_a_target_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(TaskError, match="targets 0 to 2"):
        make_task(3).truth(3)


def test_labels_are_sent_only_where_they_are_granted() -> None:
    assert make_round()[0].labels is None
    labels = make_round(1, 4, threat_model=ThreatModel(labels="known"))[0].labels
    assert labels is not None
    assert labels.tolist() == [4]


def test_weights_of_ones_own(tmp_path: Path) -> None:
    trained = ModelSpec("convnet", 10, 32, {"width": 4}).build(7)
    save_file(trained.state_dict(), tmp_path / "mine.safetensors")

    def observe(name: str) -> Observation:
        return make_round(weights="file", weights_file=str(tmp_path / name))[0]

    sent = observe("mine.safetensors").weights
    assert all(torch.equal(sent[name], value) for name, value in trained.state_dict().items())
    with pytest.raises(TaskError, match=r"none.safetensors: no such weights file"):
        observe("none.safetensors")
    (tmp_path / "text.safetensors").write_text("text")
    with pytest.raises(TaskError, match=r"text.safetensors: not a readable safetensors file"):
        observe("text.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(TaskError, match=r"other.safetensors: not this model's weights"):
        observe("other.safetensors")


def test_a_victim_is_made_once_a_seed() -> None:
    task = make_task()
    assert task.victim(1) is task.victim(1)
    assert task.victim(1) is not task.victim(2)


def test_a_task_that_cannot_train_says_so() -> None:
    with pytest.raises(TaskError, match="no training images"):
        make_round(weights="trained")


class _Odd(Photos):
    """Photographs that something has gone wrong with."""

    def __init__(self, fault: str) -> None:
        super().__init__(16)
        self.fault = fault

    def image(self, index: int) -> torch.Tensor:
        image = super().image(index)
        if self.fault == "shape":
            return image[:, :8]
        return torch.full_like(image, torch.nan) if self.fault == "nan" else image


@pytest.mark.parametrize(
    ("fault", "message"),
    [("shape", r"shape \(3, 8, 16\), and the victim takes \(3, 16, 16\)"), ("nan", "not finite")],
)
def test_images_that_no_victim_takes_are_told_when_the_observation_is_made(
    fault: str, message: str
) -> None:
    task = Task(_Odd(fault), "convnet", {"width": 2}, TaskSettings())
    with pytest.raises(TaskError, match=message):
        task.observe(task.truth(0), NoDefense(), 0, 0)


class _Wiped(NoDefense):
    """Sends nothing but zeros."""

    def apply(
        self, update: Update, batch: PrivateBatch, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        return {name: torch.zeros_like(value) for name, value in update.items()}


def test_an_update_of_zeros_is_told_when_the_observation_is_made() -> None:
    task = make_task(1)
    with pytest.raises(TaskError, match="zero in every parameter"):
        task.observe(task.truth(0), _Wiped(), 0, 0)


def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A loss of which PyTorch has no second derivative."""
    return F.multi_margin_loss(logits, labels)


def test_a_client_whose_gradient_cannot_be_differentiated_is_told_when_the_observation_is_made() -> None:
    settings = TaskSettings(client=ClientSettings(loss=Loss(f"{__file__}:margins")))
    task = Task(Photos(16), "convnet", {"width": 2}, settings)
    with pytest.raises(TaskError, match="cannot be differentiated, as an attack has to"):
        task.observe(task.truth(0), NoDefense(), 0, 0)
