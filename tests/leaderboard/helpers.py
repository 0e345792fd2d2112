"""A protocol small enough to attack in seconds, and ways to tamper with a submission."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from gifd_bench.common.files import read_tensors, write_tensors
from gifd_bench.leaderboard.matching import UpdateDistance
from gifd_bench.leaderboard.observation_set import checksum
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.verification.report import Check, Standing, Verification
from gifd_bench.leaderboard.verification.verify import verify
from gifd_bench.tasks.truth import Truth

# At 16 pixels the default network gives an image away, to better than 25 dB, in 200 steps.
PROTOCOL: dict[str, Any] = {
    "name": "tiny",
    "version": 1,
    "title": "Three photographs",
    "description": "Three photographs at 16x16.",
    "budget": {"gradient_evaluations": 250},
    "metrics": ["psnr", "ssim"],
    "tasks": {"photos": {"dataset": {"use": "photos", "size": 16}, "model": "convnet"}},
    "defenses": {"none": None},
    "targets": [0, 1, 2],
    "seeds": [0],
}
ITERATIONS = 200

ABOUT: dict[str, Any] = {
    "attack": "somebody",
    "version": "1.0",
    "date": "2026-01-31",
    "authors": ["A. Author"],
    "description": "Searches pixels.",
    "licence": "MIT",
    "threat_model": "Nothing but the observation.",
    "hardware": "one CPU core",
}


@dataclass(frozen=True)
class Honest:
    """An honest submission, and the files from which the commands made it."""

    folder: Path

    @property
    def protocol(self) -> Path:
        return self.folder / "tiny.yaml"

    @property
    def observations(self) -> Path:
        return self.folder / "observations"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def submission(self) -> Path:
        return self.folder / "submission"


def write_protocol(folder: Path, **changes: Any) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**PROTOCOL, **changes}, sort_keys=False), encoding="utf-8")
    return path


def write_about(folder: Path, **changes: Any) -> Path:
    path = folder / "about.yaml"
    path.write_text(yaml.safe_dump({**ABOUT, **changes}), encoding="utf-8")
    return path


class Tampered:
    """A submission whose files can be changed: what the files then say is made to agree, unless a test
    wants it otherwise."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def folder(self) -> SubmissionFolder:
        """As it is now: nothing that was read before is kept."""
        return SubmissionFolder(self.path)

    def verify(self, protocol: Protocol, reference: Reference, **again: Any) -> Verification:
        return verify(self.folder, protocol, reference, **again)

    def change_results(self, change: Callable[[dict[str, Any]], object]) -> None:
        """`change` is given every observation's result by name."""
        path = self.path / "results.json"
        content = json.loads(path.read_text())
        change(content["results"])
        path.write_text(json.dumps(content))

    def change_result(self, name: str, **values: Any) -> None:
        self.change_results(lambda results: results[name].update(values))

    def change_file(self, change: Callable[[dict[str, Any]], object]) -> None:
        """`change` is given the content of `submission.yaml`."""
        path = self.path / "submission.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def tensors(self, name: str) -> dict[str, Tensor]:
        return read_tensors(self.folder.reconstruction(name))

    def replace(self, name: str, **tensors: Tensor) -> None:
        """Other tensors in a reconstruction, and its checksum with them."""
        path = self.folder.reconstruction(name)
        write_tensors(path, {**self.tensors(name), **tensors})
        self.change_result(name, sha256=checksum(path))

    def claim(self, name: str, images: Tensor, labels: Tensor, reference: Reference) -> None:
        """Other images, with the matching loss that they really have and no other claim."""
        self.replace(name, images=images, labels=labels)
        distance = UpdateDistance(reference.observations.load(name))
        self.change_result(name, matching_loss=distance(images, labels), metrics={})

    def claim_truths(
        self, reference: Reference, change: Callable[[Tensor, torch.Generator], Tensor]
    ) -> None:
        """Every reconstruction made of the truth."""
        generator = torch.Generator().manual_seed(7)
        for name, truth in reference.truths.items():
            self.claim(name, change(truth.images, generator).clamp(0, 1), truth.labels, reference)


def check_of(verification: Verification, name: str) -> Check:
    (found,) = [check for check in verification.checks if check.name == name]
    return found


def assert_rejected(verification: Verification, name: str) -> str:
    """That this check was the last, and failed; what it says."""
    assert verification.standing is Standing.REJECTED
    assert [check.name for check in verification.problems()] == [name]
    assert verification.checks[-1].name == name
    assert_one_line(verification.checks[-1].detail)
    return verification.checks[-1].detail


def assert_one_line(text: str) -> None:
    assert text
    assert text.isprintable(), ascii(text)
    assert len(text) < 600


def other_truth(truth: Truth) -> Tensor:
    """Images of the same shape that nobody attacked."""
    return torch.rand(truth.images.shape, generator=torch.Generator().manual_seed(1))
