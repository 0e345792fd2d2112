"""Attacks on a CUDA device: the same search as on the CPU, with the same promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.contract.subject import AttackSubject
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.invert import Checkpoint, InversionInterrupted, invert
from gifd_bench.priors.generators.resnet import ResNetPrior
from gifd_bench.tasks.observation import Observation

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]

OPTIONS: dict[str, dict[str, Any]] = {
    "dlg": {"iterations": 2, "evaluations": 2, "restarts": 2},
    "ig": {"iterations": 8, "restarts": 4, "keep": "halving"},
    "gi": {"iterations": 4, "group_size": 2, "restarts": 2},
    "ggl": {"iterations": 3, "population": 5, "restarts": 2},
    "gias": {"latent_iterations": 2, "weight_iterations": 3, "starts": 2},
    "gifd": {"iterations": 2, "restarts": 2},
}
every_attack = pytest.mark.parametrize("name", OPTIONS)


def made(name: str) -> Attack:
    attack: Attack = ATTACKS.make(name, OPTIONS[name])
    return attack


def run(
    name: str, observation: Observation, prior: ResNetPrior, device: str, **more: Any
) -> Reconstruction:
    return invert(made(name), observation, prior, 0, accelerator=device, **more)


@every_attack
def test_it_begins_as_on_the_cpu_and_answers_on_it(
    name: str, observation: Observation, tiny_prior: ResNetPrior, tmp_path: Path
) -> None:
    found, on_cpu = (run(name, observation, tiny_prior, device) for device in ("gpu", "cpu"))
    torch.testing.assert_close(found.curve[:1], on_cpu.curve[:1], rtol=1e-3, atol=1e-5)
    assert found.gradient_evaluations == on_cpu.gradient_evaluations
    assert found.images.device.type == found.curve.device.type == "cpu"
    assert 0 <= float(found.images.min()) <= float(found.images.max()) <= 1
    expected = AttackSubject(lambda: made(name), tiny_prior, tmp_path).matching_loss(observation, found)
    assert found.matching_loss == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", ["ig", "ggl", "gifd"])
def test_it_goes_on_from_a_checkpoint(
    name: str, observation: Observation, tiny_prior: ResNetPrior, tmp_path: Path
) -> None:
    whole = run(name, observation, tiny_prior, "gpu")
    path, asked = tmp_path / "it.ckpt", iter([False, False, True])
    with pytest.raises(InversionInterrupted):
        run(name, observation, tiny_prior, "gpu", checkpoint=Checkpoint(path, 1e9, lambda: next(asked)))
    resumed = run(name, observation, tiny_prior, "gpu", checkpoint=Checkpoint(path, 1e9, lambda: False))
    torch.testing.assert_close(resumed.curve, whole.curve, rtol=1e-3, atol=1e-5, equal_nan=True)
    assert resumed.gradient_evaluations == whole.gradient_evaluations
