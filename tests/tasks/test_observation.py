"""Observations on disk: whole, damaged, hostile; and never an image in them."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gifd_bench.common.errors import StorageError
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.composition import Composition
from gifd_bench.tasks.defenses.knowledge import imitate
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation import KnownDefense, Observation
from gifd_bench.tasks.observation_file import load_observation, save_observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel
from gifd_bench.tasks.truth import Truth
from tests.rounds import make_round


@pytest.fixture
def path(tmp_path: Path, observation: Observation) -> Path:
    save_observation(observation, tmp_path / "it.safetensors")
    return tmp_path / "it.safetensors"


def facts(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        content: dict[str, Any] = json.loads(file.metadata()["observation"])
    return content


def rewrite(path: Path, tensors: dict[str, torch.Tensor], content: Any) -> None:
    save_file(tensors, path, metadata={"observation": json.dumps(content)})


def expect(path: Path, message: str) -> None:
    with pytest.raises(TaskError) as error:
        load_observation(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def everything() -> tuple[Observation, Truth]:
    """An observation in which every field that can be there is there."""
    settings = TaskSettings(
        batch_size=2,
        client=ClientSettings(FedAvg(2, 1, 0.1), clients=2, batch_norm="train", send_buffers=True),
        threat_model=ThreatModel(labels="known", bn_statistics="batch", defense="parameters"),
    )
    task = Task(Photos(16), "resnet_cifar", {"depth": 20, "width": 4}, settings)
    truth = task.truth(1)
    return task.observe(truth, Composition((Clipping(1.0), GaussianNoise(0.1))), 0, 0), truth


@pytest.mark.parametrize("make", [make_round, everything])
def test_round_trip(make: Callable[[], tuple[Observation, Truth]], tmp_path: Path) -> None:
    observation, _ = make()
    path = tmp_path / "it.safetensors"
    save_observation(observation, path)
    loaded = load_observation(path)
    for name in (
        "model",
        "is_difference",
        "mean",
        "std",
        "class_names",
        "batch_size",
        "threat_model",
        "client",
        "defenses",
    ):
        assert getattr(loaded, name) == getattr(observation, name)
    for kind in ("update", "weights", "buffers"):
        mine, theirs = getattr(observation, kind), getattr(loaded, kind)
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    # safetensors sorts names; the model's order is kept.
    assert list(loaded.update) == [name for name, _ in observation.victim().named_parameters()]
    assert (loaded.labels is None) == (observation.labels is None)
    if observation.labels is not None and loaded.labels is not None:
        assert torch.equal(loaded.labels, observation.labels)
    mine, theirs = observation.batch_statistics, loaded.batch_statistics
    assert (mine is None) == (theirs is None)
    if mine is not None and theirs is not None:
        for layer in mine:
            assert torch.equal(mine[layer].mean, theirs[layer].mean)
            assert torch.equal(mine[layer].var, theirs[layer].var)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("make", [lambda: make_round(2), everything])
def test_no_part_of_the_file_is_an_image(
    make: Callable[[], tuple[Observation, Truth]], tmp_path: Path
) -> None:
    observation, truth = make()
    path = tmp_path / "it.safetensors"
    save_observation(observation, path)
    for name, tensor in load_file(path).items():
        assert name == "labels" or name.startswith(("update/", "weights/", "buffers/", "statistics/"))
        shapes = {tuple(truth.images.shape), tuple(truth.images.shape[1:])}
        assert tuple(tensor.shape) not in shapes, name
    content = path.read_bytes()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (observation.mean, observation.std))
    pixels = (truth.images * 255).round().to(torch.uint8)
    for images in (truth.images, (truth.images - mean) / std, truth.images.half(), pixels):
        for image in images:
            # Flat regions are common to all files: only look for what could tell an image.
            for window in image.flatten().unfold(0, 16, 64):
                if len(window.unique()) > 8:
                    assert window.contiguous().numpy().tobytes() not in content


def test_it_is_frozen(observation: Observation) -> None:
    with pytest.raises(AttributeError):
        observation.batch_size = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        observation.update["x"] = torch.zeros(1)  # type: ignore[index]


def test_missing_file(tmp_path: Path) -> None:
    expect(tmp_path / "none.safetensors", "no such observation file")


@pytest.mark.slow
@settings(max_examples=60)
@given(keep=st.floats(0, 0.999))
def test_a_truncated_file(tmp_path_factory: pytest.TempPathFactory, keep: float) -> None:
    path = tmp_path_factory.mktemp("cut") / "it.safetensors"
    save_observation(make_round()[0], path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    expect(path, "damaged observation file")


def test_what_cannot_be_written_is_one_line_and_what_was_there_stays(
    path: Path, observation: Observation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    for place in (path, path.parent / "no" / "folder.safetensors"):
        with pytest.raises(StorageError, match="cannot be written") as error:
            save_observation(observation, place)
        assert str(error.value).startswith(f"{place}: ")
        assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_another_format(path: Path) -> None:
    save_file(load_file(path), path, metadata={"format": "other"})
    expect(path, "found 'other'")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "must be positive"),
        ({"std": [1, 1, 0]}, "must be positive"),
        ({"std": [1, 1]}, "damaged"),
        ({"model": None}, "damaged"),
        (
            {"model": {"name": "os.system", "num_classes": 10, "image_size": 32, "options": {}}},
            "would be imported",
        ),
        (
            {"model": {"name": "convnett", "num_classes": 10, "image_size": 32, "options": {}}},
            "no model 'convnett'; did you mean convnet",
        ),
        ({"defenses": [{"name": "nonesuch", "parameters": None}]}, "no defense 'nonesuch'"),
        ({"class_names": ["cat"]}, "1 class names for 10 classes"),
        ({"threat_model": {"labels": "guessed"}}, "one of known, inferred"),
        ({"threat_model": {"labels": "known"}}, "labels and threat model disagree"),
        (
            {"client": {"local": None, "clients": 2, "batch_norm": "eval", "send_buffers": False}},
            "multiple",
        ),
        ({"client": {"local": {"epochs": 0}, "clients": 1}}, "at least 1"),
        ({"parameters": ["classifier.bias"]}, "not those listed"),
        ({"model": {"name": "convnet", "num_classes": 10, "image_size": 64, "options": {}}}, "damaged"),
        ({"model": {"name": "convnet", "num_classes": -1, "image_size": 32, "options": {}}}, "-1 classes"),
    ],
)
def test_facts_that_make_no_sense(path: Path, change: dict[str, Any], message: str) -> None:
    rewrite(path, load_file(path), {**facts(path), **change})
    expect(path, message)


def test_a_missing_fact(path: Path) -> None:
    content = facts(path)
    del content["class_names"]
    rewrite(path, load_file(path), content)
    expect(path, "class_names")


def test_an_update_that_does_not_fit_its_model(path: Path) -> None:
    tensors, content = load_file(path), facts(path)
    without = {n: t for n, t in tensors.items() if n != "update/classifier.bias"}
    rewrite(path, without, content)
    expect(path, "not those listed")
    listed = [name for name in content["parameters"] if name != "classifier.bias"]
    # A part of the parameters may be sent, and none that the model does not have.
    rewrite(path, without, {**content, "parameters": listed})
    assert list(load_observation(path).update) == listed
    odd = {**without, "update/classifier.bais": tensors["update/classifier.bias"]}
    rewrite(path, odd, {**content, "parameters": [*listed, "classifier.bais"]})
    expect(path, "disagree on parameter 'classifier.bais'")
    rewrite(path, without, {**content, "parameters": listed[::-1]})
    expect(path, "not in the model's order")
    rewrite(path, {**tensors, "update/classifier.bias": torch.zeros(11)}, content)
    expect(path, "has shape (11,)")


SPY = """
from dataclasses import dataclass

import torch
from gifd_bench.tasks.defenses.base import Defense

class Net(torch.nn.Module):
    def __init__(self, num_classes, image_size):
        super().__init__()
        self.linear = torch.nn.Linear(3 * image_size**2, num_classes)

    def forward(self, x):
        return self.linear(x.flatten(1))

@dataclass(frozen=True)
class Half(Defense):
    factor: float = 0.5

    def apply(self, update, batch, generator):
        return {name: self.factor * value for name, value in update.items()}
"""
NAMES = ("spy.py:{}", "spy:{}", "spy.{}", "{folder}/spy.py:{}")


@pytest.fixture
def spy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the working directory that defines a model and a defense of the user's."""
    (tmp_path / "spy.py").write_text(SPY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "spy", raising=False)
    return tmp_path / "spy.py"


def outside_round(net: str = "spy.py:Net", defense: str = "spy.py:Half") -> Observation:
    settings = TaskSettings(threat_model=ThreatModel(defense="parameters"))
    task = Task(Photos(16), net, {}, settings)
    return task.observe(task.truth(0), DEFENSES.find(defense)(), 0, 0)


def modules_of(file: Path) -> list[str]:
    """What a file was imported as."""
    return [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == str(file)]


@pytest.mark.parametrize("saved", NAMES)
@pytest.mark.parametrize("given", NAMES)
def test_what_would_be_imported_is_what_the_user_names(spy: Path, saved: str, given: str) -> None:
    observed = outside_round(
        saved.format("Net", folder=spy.parent), saved.format("Half", folder=spy.parent)
    )
    observed.save("it.safetensors")
    assert str(spy.parent) not in Path("it.safetensors").read_bytes().decode("latin1")
    names = [given.format(name, folder=spy.parent) for name in ("Net", "Half")]
    loaded = Observation.load("it.safetensors", imports=names)
    assert loaded.model.name == names[0]
    assert loaded.defenses == (KnownDefense(names[1], {"factor": 0.5}),)
    assert imitate(loaded.update, [(names[1], {"factor": 0.5})]).noise_std == 0


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ([], "its model is 'spy.py:Net', which would be imported; name it yourself"),
        (["other.py:Net", "spy.py:Other", "Net"], "its model is 'spy.py:Net'"),
        (["spy:Net"], "its defense is 'spy.py:Half', which would be imported"),
    ],
)
def test_nothing_is_imported_that_the_user_has_not_named(
    spy: Path, allowed: list[str], message: str
) -> None:
    outside_round().save("it.safetensors")
    for name in modules_of(spy):
        del sys.modules[name]
    with pytest.raises(TaskError, match=message) as error:
        Observation.load("it.safetensors", imports=allowed)
    assert "\n" not in str(error.value)
    assert not modules_of(spy)


class TestFromGradients:
    """A user's own federated learning code."""

    spec = ModelSpec("convnet", 10, 16, {"width": 4})

    def make(self, **changes: Any) -> Observation:
        model = self.spec.build(3)
        inputs = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        loss = torch.nn.functional.cross_entropy(model((inputs - 0.5) / 0.25), torch.tensor([1, 2]))
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        arguments: dict[str, Any] = {
            "model": model,
            "gradients": gradients,
            "spec": self.spec,
            "batch_size": 2,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.25, 0.25, 0.25),
        }
        return Observation.from_gradients(**{**arguments, **changes})

    def test_it_is_what_was_sent(self, tmp_path: Path) -> None:
        names = [name for name, _ in self.spec.build().named_parameters()]
        observation = self.make(
            labels=torch.tensor([1, 2]), defenses=[KnownDefense("gaussian_noise", {"std": 0.1})]
        )
        assert list(observation.update) == names
        assert observation.threat_model == ThreatModel("known", "model", "parameters", "known")
        save_observation(observation, tmp_path / "it.safetensors")
        loaded = load_observation(tmp_path / "it.safetensors")
        assert all(torch.equal(loaded.update[n], observation.update[n]) for n in names)
        by_name = self.make(gradients=dict(reversed(list(observation.update.items()))))
        assert list(by_name.update) == names

    def test_it_does_not_change_with_the_model(self) -> None:
        model = self.spec.build(3)
        observation = self.make(model=model)
        with torch.no_grad():
            next(model.parameters()).zero_()
        assert float(next(iter(observation.weights.values())).abs().sum()) > 0

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"gradients": [torch.zeros(3)]}, "a flat vector of 3 numbers given, and 2,866 expected"),
            ({"gradients": {"x": torch.zeros(3)}}, "disagree on parameter"),
            ({"spec": ModelSpec("convnet", 10, 16, {"width": 8})}, "weights do not fit model 'convnet'"),
            ({"spec": ModelSpec("convnet", 10, 18, {"width": 4})}, "cannot be built"),
            ({"labels": torch.tensor([1])}, "labels are not 2 numbers below 10"),
            ({"labels": torch.tensor([1, 10])}, "labels are not 2 numbers below 10"),
            ({"batch_size": 0}, "must be positive"),
            ({"class_names": ["cat"]}, "1 class names"),
            ({"batch_size": 3, "client": ClientSettings(clients=2)}, "multiple"),
        ],
    )
    def test_parts_that_do_not_fit(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(TaskError, match=message) as error:
            self.make(**changes)
        assert "\n" not in str(error.value)

    def test_a_model_is_enough_for_an_attack_at_once(self, spy: Path) -> None:
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 4), torch.nn.Dropout())
        gradients = [torch.ones_like(p) for p in model.parameters()]
        observation = Observation.from_gradients(model.train(), gradients, batch_size=1, image_size=16)
        assert (observation.model.num_classes, observation.model.image_size) == (4, 16)
        assert (observation.mean, observation.std) == ((0, 0, 0), (1, 1, 1))
        assert model.training
        victim = observation.victim()
        assert not victim.training
        inputs = torch.rand(1, 3, 16, 16)
        assert torch.equal(victim(inputs), model.eval()(inputs))
        with torch.no_grad():
            model.get_parameter("1.weight").zero_()
        assert not torch.equal(victim(inputs), model(inputs))
        with pytest.raises(
            TaskError, match="cannot be rebuilt from a file: give from_gradients a spec"
        ) as error:
            observation.save(spy.parent / "it.safetensors")
        assert "\n" not in str(error.value)

    def test_a_model_that_anybody_can_rebuild_is_saved_without_a_specification(self, spy: Path) -> None:
        net = ModelSpec("spy:Net", 3, 16).build(1)
        gradients = [torch.ones_like(p) for p in net.parameters()]
        observation = Observation.from_gradients(net, gradients, batch_size=1, image_size=16)
        observation.save("it.safetensors")
        loaded = Observation.load("it.safetensors", imports=["spy.py:Net"])
        inputs = torch.rand(1, 3, 16, 16)
        assert torch.equal(loaded.victim()(inputs), net(inputs))

    def test_what_cannot_be_told_from_the_model_has_to_be_said(self) -> None:
        with pytest.raises(TaskError, match="give image_size"):
            self.make(spec=None)
        with pytest.raises(TaskError, match="gives no logits for an image of 18x18"):
            self.make(spec=None, image_size=18)
        with pytest.raises(TaskError, match="image_size is 18, and that of the spec 16"):
            self.make(image_size=18)
        assert self.make(spec=None, image_size=16).model.num_classes == 10
