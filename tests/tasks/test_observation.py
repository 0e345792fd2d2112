"""Observations on disk: whole, damaged, hostile; and never an image in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tasks import Observation, TaskError
from tasks.observation import FORMAT
from tests.conftest import make_round


@pytest.fixture
def path(tmp_path: Path, observation: Observation) -> Path:
    observation.save(tmp_path / "it.safetensors")
    return tmp_path / "it.safetensors"


def facts(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        content: dict[str, Any] = json.loads(file.metadata()["observation"])
    return content


def rewrite(path: Path, tensors: dict[str, torch.Tensor], content: Any) -> None:
    save_file(tensors, path, metadata={"format": FORMAT, "observation": json.dumps(content)})


def expect(path: Path, message: str) -> None:
    with pytest.raises(TaskError) as error:
        Observation.load(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_round_trip(path: Path, observation: Observation) -> None:
    loaded = Observation.load(path)
    for name in ("model", "mean", "std", "class_names", "batch_size", "labels"):
        assert getattr(loaded, name) == getattr(observation, name)
    for mine, theirs in ((observation.update, loaded.update), (observation.weights, loaded.weights)):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_granted_labels_travel(tmp_path: Path, observation: Observation) -> None:
    granted = Observation(**{**vars(observation), "labels": torch.tensor([3])})
    granted.save(tmp_path / "granted.safetensors")
    labels = Observation.load(tmp_path / "granted.safetensors").labels
    assert labels is not None
    assert labels.tolist() == [3]


def test_no_tensor_of_the_file_is_an_image(tmp_path: Path) -> None:
    observation, truth = make_round(2)
    observation.save(tmp_path / "it.safetensors")
    for name, tensor in load_file(tmp_path / "it.safetensors").items():
        assert name.startswith(("update/", "weights/"))
        assert tensor.numel() < truth.images[0].numel() or tensor.shape[-1] != 32, name
    content = (tmp_path / "it.safetensors").read_bytes()
    for image in truth.images:
        for window in image.flatten().unfold(0, 4, 512):
            assert window.numpy().tobytes() not in content


def test_it_is_frozen(observation: Observation) -> None:
    with pytest.raises(AttributeError):
        observation.batch_size = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        observation.update["x"] = torch.zeros(1)  # type: ignore[index]


def test_missing_file(tmp_path: Path) -> None:
    expect(tmp_path / "none.safetensors", "no such observation file")


@settings(max_examples=60, deadline=None)
@given(keep=st.floats(0, 0.999))
def test_a_truncated_file(tmp_path_factory: pytest.TempPathFactory, keep: float) -> None:
    path = tmp_path_factory.mktemp("cut") / "it.safetensors"
    make_round()[0].save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    expect(path, "damaged observation file")


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
        ({"model": {"name": "os.system", "num_classes": 1, "image_size": 1, "options": {}}}, "no model"),
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
    rewrite(path, {n: t for n, t in tensors.items() if n != "update/classifier.bias"}, content)
    expect(path, "disagree on parameter 'classifier.bias'")
    rewrite(path, {**tensors, "update/classifier.bias": torch.zeros(11)}, content)
    expect(path, "has shape (11,)")
