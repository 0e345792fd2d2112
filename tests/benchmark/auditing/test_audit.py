"""Audits from end to end, in Python and on the command line."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import gifd_bench as gb
from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.auditing.trials import Deadline
from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.invert import invert
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task

SMALL = ["--task.dataset.use=photos", "--task.dataset.size=16", "--task.model.width=4"]
QUICK = ["--attacks", "ig", "--attacks.ig.iterations=20", "--seconds", "2"]


def observed(target: int = 0) -> tuple[gb.Observation, gb.Truth]:
    task = Task(Photos(16), "convnet", {"width": 4}, TaskSettings())
    truth = task.truth(target)
    return task.observe(truth, NoDefense(), 0, 0), truth


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited") / "out"
    assert cli(["audit", "--output", str(folder), *SMALL, *QUICK]) == 0
    return folder


@pytest.mark.slow
def test_the_page_holds_all_that_it_shows(audited: Path) -> None:
    page = (audited / "audit.html").read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert "url(" not in page
    for heading in ("What to do next", "What was assumed of the attacker", "What was not tried, and why"):
        assert f"<h2>{heading}</h2>" in page
    for said in ("astronaut", "CVPR 2021", "at least 0.5", "It is not given the labels"):
        assert said in page


def test_the_numbers_are_those_of_the_answer(audited: Path) -> None:
    numbers = json.loads((audited / "verdict.json").read_text())
    result = json.loads((audited / "attacks" / "ig" / "result.json").read_text())
    assert result["gradient_evaluations"] <= 21
    assert numbers["best"] == numbers["chosen"] == "ig"
    assert numbers["images"] == len(numbers["scores"]) == 1


def test_an_audit_that_is_done_attacks_no_more(audited: Path) -> None:
    def times() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in (audited / "attacks").rglob("*")}

    before = times()
    assert cli(["audit", "--output", str(audited), *SMALL, *QUICK]) == 0
    assert times() == before


def test_nothing_is_written_over(audited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["audit", "--output", str(audited), *SMALL, *QUICK, "--seed", "1"]) == 2
    assert "holds another audit" in capsys.readouterr().err
    (tmp_path / "mine.txt").write_text("mine")
    assert cli(["audit", "--output", str(tmp_path), *SMALL, *QUICK]) == 2
    assert "not empty and not an audit" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_the_truth_reaches_no_attack_and_may_come_later(tmp_path: Path) -> None:
    observation, truth = observed()
    observation.save(tmp_path / "it.safetensors")
    command = ["audit", str(tmp_path / "it.safetensors"), "--output", str(tmp_path / "out"), *QUICK]
    assert cli(command) == 0
    answer = tmp_path / "out" / "attacks" / "ig" / "reconstruction.safetensors"
    before = answer.read_bytes(), answer.stat().st_mtime_ns
    first = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert first["outcome"] in ("unjudged", "unexplained")
    torch.save({"images": truth.images}, tmp_path / "images.pt")
    given = ["--images", str(tmp_path / "images.pt"), "--labels", "astronaut"]
    cli([*command, *given])
    assert (answer.read_bytes(), answer.stat().st_mtime_ns) == before
    assert json.loads((tmp_path / "out" / "verdict.json").read_text())["recognized"] is not None


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    observation, truth = observed()
    hostile = replace(observation, class_names=("<script>alert(1)</script>", *observation.class_names[1:]))
    report = gb.audit(
        hostile,
        tmp_path / "out",
        images=truth.images,
        labels=truth.labels,
        attacks=["ig"],
        seconds=0.5,
        progress=False,
    )
    page = report.page.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.slow
def test_a_captured_training_step_of_a_model_in_memory_is_audited(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    image, label = observed()[1].images, torch.tensor([3])
    with gb.capture(net) as update:
        F.cross_entropy(net(image), label).backward()
    report = gb.audit(
        update.observation(),
        tmp_path / "out",
        images=image,
        labels=label,
        attacks=["ig"],
        seconds=1,
        progress=False,
    )
    assert report.outcome in ("recognized", "partly", "not_recognized")


@pytest.mark.slow
def test_images_of_several_labels_are_audited_with_and_without_a_prior(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    image, labels = observed()[1].images, torch.zeros(1, 10)
    labels[0, [1, 3]] = 1
    loss = F.binary_cross_entropy_with_logits(net(image), labels)
    observation = gb.Observation.from_gradients(
        net,
        torch.autograd.grad(loss, list(net.parameters())),
        batch_size=1,
        image_size=16,
        labels=labels,
        client=gb.ClientSettings(loss=gb.Loss("binary_cross_entropy")),
    )
    report = gb.audit(
        observation,
        tmp_path / "out",
        images=image,
        labels=labels,
        attacks=["ig", "latent"],
        seconds=2,
        progress=False,
    )
    assert report.verdict.chosen is not None
    assert report.verdict.chosen.found.distance < 0.5
    failures = [file.name for file in (tmp_path / "out").rglob("failed.json")]
    assert failures == []


def test_a_failed_attack_costs_the_audit_that_attack_alone(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(
        "from gifd_bench.benchmark.attacks.ig import IG\n"
        "class Broken(IG):\n"
        "    def objective(self):\n"
        "        if self.progress.iteration > 0: raise RuntimeError('no more')\n"
        "        return super().objective()\n"
    )
    observation, _ = observed()
    report = gb.audit(
        observation, tmp_path / "out", attacks=["ig", f"{source}:Broken"], seconds=2, progress=False
    )
    page = report.page.read_text(encoding="utf-8")
    assert "no more" in page
    assert report.verdict.chosen is not None
    assert report.verdict.chosen.found.trial.label == "ig"


def test_an_inversion_that_is_stopped_answers_with_the_best_so_far() -> None:
    observation, _ = observed()
    attack = IG(iterations=100_000, restarts=2, restarts_at_once=1)
    answer = invert(attack, observation, None, 0, callbacks=[Deadline(0.3)], accelerator="cpu")
    losses = answer.curve[torch.isfinite(answer.curve)]
    assert 0 < len(losses) < 100_000
    assert answer.matching_loss == pytest.approx(float(losses.min()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give an observation file"),
        (["{file}", "--task.batch_size=1"], "give its images with --images"),
        (["{file}", "--fail-if", "identified"], "--fail-if needs the private images"),
        (["{file}", "--labels", "3"], "give --images, too"),
        (["{file}", "--seconds", "0"], "seconds must be above 0"),
        (["{file}", "--attacks", "nonesuch"], "no attack 'nonesuch'"),
        (["{file}", "--attacks", "ig", "--attacks.ig.iteration=2"], "iteration"),
        (["{file}", "--images", "{file}"], "images of shape"),
        (["{file}", "--priors", "nonesuch"], "no prior 'nonesuch'"),
        ([*SMALL, "--images", "{file}"], "a task has its own"),
    ],
)
def test_an_audit_that_cannot_be(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "it.safetensors"
    observed()[0].save(file)
    given = [argument.replace("{file}", str(file)) for argument in arguments]
    assert cli(["audit", "--output", str(tmp_path / "out"), *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
