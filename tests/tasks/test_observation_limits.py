"""Observations that claim more than anybody could compute: one clear line, before it is computed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
from safetensors import safe_open
from safetensors.torch import save_file

from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation_file import METADATA, load_observation
from tests.rounds import make_round


def claimed(path: Path, change: Callable[[dict[str, Any]], None], **settings: Any) -> Path:
    """An honest observation's file with other facts."""
    make_round(**settings)[0].save(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(file.metadata()[METADATA])
    change(facts)
    save_file(tensors, path, {METADATA: json.dumps(facts)})
    return path


def model(name: str, **options: Any) -> Callable[[dict[str, Any]], None]:
    def change(facts: dict[str, Any]) -> None:
        facts["model"] |= {"name": name, "options": options}

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda facts: facts["client"]["local"].update(epochs=10**12), "epochs must be 1,000 at most"),
        (lambda facts: facts["client"].update(clients=10**12), "clients must be 1 to 10,000"),
        (lambda facts: facts.update(batch_size=20_000), "a batch of 20,000 images; 4,096 at most"),
        (lambda facts: facts.update(batch_size=10**400), "a batch of 1"),
        (lambda facts: facts.update(batch_size=float("inf")), "damaged observation file"),
        (lambda facts: facts["model"].update(image_size=10**9), "1000000000x1000000000 pixels"),
        (lambda facts: facts["model"].update(num_classes=10**12), "1000000000000 classes"),
        (lambda facts: facts["model"].update(channels=10**9), "means"),
        (model("convnet", width=10**9), "width 1 to 4096"),
        (model("convnet", width=4096), "larger than the weights that come with it"),
        (model("timm", architecture="eva02_enormous_patch14_clip_224"), "larger than the weights"),
        (model("timm", architecture="vit_giant_patch14_224"), "larger than the weights"),
        (model("torchvision", architecture="regnet_y_128gf"), "larger than the weights"),
    ],
)
def test_each_is_one_line_within_two_seconds(
    change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path
) -> None:
    settings = {"client": ClientSettings(local=FedAvg())}
    path = claimed(tmp_path / "it.safetensors", change, **settings)
    timm.is_model("resnet18")  # So that imports are not counted.
    began = time.process_time()
    with pytest.raises(TaskError) as error:
        load_observation(path)
    assert time.process_time() - began < 2
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet18", "mixer_s32_224", "convnext_atto"])
def test_an_honest_model_is_built_within_the_allowance_of_its_own_weights(name: str) -> None:
    spec = ModelSpec("timm", 10, 224, {"architecture": name})
    free = spec.build()
    weights = free.state_dict()
    bound = spec.build(most=sum(value.numel() for value in weights.values()))
    assert all((value == weights[key]).all() for key, value in bound.state_dict().items())
