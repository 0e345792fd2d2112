"""Cheating, and the check that catches each."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from gifd_bench.benchmark.scoring.metrics import psnr
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.export import export
from gifd_bench.leaderboard.observation_set import ObservationSet
from gifd_bench.leaderboard.protocol import Protocol, read_protocol
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.rerun.answer import RerunAnswer
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunImpossible
from gifd_bench.leaderboard.rerun.job import RerunJob, RerunLimits, Submitted
from gifd_bench.leaderboard.rerun.runner import SandboxRunner
from gifd_bench.leaderboard.rerun.sandbox import Sandbox, SandboxProcess
from gifd_bench.leaderboard.submission.schema import SOURCE
from gifd_bench.leaderboard.verification.closeness import LEAST_PSNR
from gifd_bench.leaderboard.verification.report import Standing, Verdict
from gifd_bench.leaderboard.verification.rerun import RerunRequest
from tests.leaderboard.helpers import (
    Honest,
    Tampered,
    assert_one_line,
    assert_rejected,
    check_of,
    write_protocol,
)

CHECKS = [
    "files",
    "signature",
    "observations",
    "checksums",
    "images",
    "complete",
    "budget",
    "matching_loss",
    "metrics",
    "closeness",
    "rerun",
]


@pytest.mark.slow
def test_an_honest_submission_passes_every_check(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    verification = submission.verify(protocol, reference)
    assert [check.name for check in verification.checks] == CHECKS
    # It is not signed, and no rerun was asked for.
    skipped = {check.name for check in verification.checks if check.verdict is Verdict.SKIPPED}
    assert skipped == {"signature", "rerun"}
    assert {check.verdict for check in verification.checks} == {Verdict.PASSED, Verdict.SKIPPED}
    assert verification.standing is Standing.SELF_REPORTED
    assert verification.complete
    # Else closeness would have looked at nothing.
    for name, truth in reference.truths.items():
        quality = float(psnr(submission.tensors(name)["images"], truth.images).mean())
        assert quality > LEAST_PSNR
        assert verification.scores[name].metrics["psnr"] == pytest.approx([quality])


def _noise(std: float) -> Callable[[Tensor, torch.Generator], Tensor]:
    return lambda truth, generator: truth + std * torch.randn(truth.shape, generator=generator)


COPIES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "the truth": lambda truth, _: truth,
    "8 bits": lambda truth, _: (truth * 255).round() / 255,
    "noise at 50 dB": _noise(0.003),
    "noise at 40 dB": _noise(0.01),
    "noise at 30 dB": _noise(0.03),
    "noise at 26 dB": _noise(0.05),
    "32 gray levels": lambda truth, _: (truth * 31).round() / 31,
    "16 gray levels": lambda truth, _: (truth * 15).round() / 15,
    "blurred": lambda truth, _: gaussian_blur(truth, [9, 9], [0.45, 0.45]),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copied_truth_is_flagged_however_it_is_disguised(
    copy: str, submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    submission.claim_truths(reference, COPIES[copy])
    verification = submission.verify(protocol, reference)
    assert verification.standing is Standing.FLAGGED
    (problem,) = verification.problems()
    assert problem.name == "closeness"
    assert_one_line(problem.detail)


def test_one_copy_among_honest_answers_is_flagged(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    truth = reference.truths["001"]
    submission.claim("001", truth.images, truth.labels, reference)
    detail = check_of(submission.verify(protocol, reference), "closeness").detail
    assert detail.startswith("001: ")
    assert "as close as a copy" in detail


@pytest.mark.parametrize("metric", ["psnr", "ssim", "mse", "label_accuracy"])
def test_edited_metrics_are_caught(
    metric: str, submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    found = submission.verify(protocol, reference).scores["001"].metrics[metric]
    assert found is not None
    submission.change_result("001", metrics={metric: found[0] * 1.0001})
    assert check_of(submission.verify(protocol, reference), "metrics").detail == "1 claims, all as found"
    submission.change_result("001", metrics={metric: found[0] * 1.05 + 0.005})
    assert metric in assert_rejected(submission.verify(protocol, reference), "metrics")


def test_an_edited_matching_loss_is_caught(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    claimed = submission.folder.results["002"].matching_loss
    submission.change_result("002", matching_loss=claimed * 0.9)
    assert "002: claimed" in assert_rejected(submission.verify(protocol, reference), "matching_loss")


def test_a_swapped_file_of_the_exported_set_is_not_loaded(honest: Honest, tmp_path: Path) -> None:
    shutil.copytree(honest.observations, tmp_path / "set")
    observations = ObservationSet(tmp_path / "set")
    shutil.copyfile(observations.file("001"), observations.file("000"))
    with pytest.raises(LeaderboardError, match=r"000\.safetensors: not the file that was exported"):
        observations.load("000")
    observations.file("000").unlink()
    observations.file("000").symlink_to(honest.observations / "000.safetensors")
    with pytest.raises(LeaderboardError, match="no such observation file"):
        observations.load("000")


@pytest.fixture(scope="module")
def easier(tmp_path_factory: pytest.TempPathFactory) -> ObservationSet:
    """The same protocol's key, but of other images."""
    folder = tmp_path_factory.mktemp("easier")
    return export(read_protocol(write_protocol(folder, targets=[3, 4, 5])), folder / "set", None)


def test_answers_to_another_observation_file_are_caught(
    submission: Tampered, protocol: Protocol, reference: Reference, easier: ObservationSet
) -> None:
    item = easier.index.observations["000"]
    submission.change_result("000", observation=item.sha256, fingerprint=item.fingerprint)
    detail = assert_rejected(submission.verify(protocol, reference), "observations")
    assert detail == "000: another observation was attacked"


def test_the_same_observation_made_on_another_machine_is_granted(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    found = reference.observations.index.observations["000"].fingerprint
    nearly = [value * (1 + 1e-6) for value in found]
    submission.change_result("000", observation="0" * 64, fingerprint=nearly)
    assert submission.verify(protocol, reference).standing is Standing.SELF_REPORTED


@pytest.mark.parametrize("huge", [1e13, 1e308])
def test_a_fingerprint_beyond_all_numbers_is_near_to_none(
    huge: float, submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    submission.change_result("000", observation="0" * 64, fingerprint=[huge] * 16)
    assert "fingerprint" in assert_rejected(submission.verify(protocol, reference), "files")


def test_exchanged_reconstructions_are_caught(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    first, second = submission.tensors("000"), submission.tensors("001")
    submission.replace("000", **second)
    submission.replace("001", **first)
    assert_rejected(submission.verify(protocol, reference), "matching_loss")


def test_a_reconstruction_that_was_changed_afterwards_is_caught(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    claimed = submission.folder.results["000"].sha256
    submission.replace("000", images=submission.tensors("000")["images"].flip(-1))
    submission.change_result("000", sha256=claimed)
    assert_rejected(submission.verify(protocol, reference), "checksums")


SPOILED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "[0, 255]": (lambda images: images * 255, r"not in \[0, 1\]"),
    "[-1, 1]": (lambda images: images * 2 - 1, r"not in \[0, 1\]"),
    "NaN": (lambda images: images.index_fill(3, torch.tensor(0), torch.nan), "nan"),
    "infinite": (lambda images: images.index_fill(3, torch.tensor(0), torch.inf), "inf"),
    "one more": (lambda images: torch.cat([images, images]), r"shape \[2, 3, 16, 16\]"),
    "smaller": (lambda images: images[..., ::2, ::2], "shape"),
    "channels last": (lambda images: images.permute(0, 2, 3, 1), "shape"),
    "boolean": (lambda images: images > 0.5, "type"),
    "int64": (lambda images: (images * 255).long(), "type"),
    "complex": (lambda images: images.to(torch.complex64), "type"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_images_of_another_range_shape_or_type_are_caught(
    what: str, submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    change, said = SPOILED[what]
    submission.replace("000", images=change(submission.tensors("000")["images"]))
    detail = assert_rejected(submission.verify(protocol, reference), "images")
    assert re.search(said, detail), detail


def test_images_of_8_bits_are_as_good_as_floats(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    for name in reference.truths:
        tensors = submission.tensors(name)
        pixels = (tensors["images"] * 255).round()
        submission.claim(name, pixels / 255, tensors["labels"], reference)
        submission.replace(name, images=pixels.to(torch.uint8))
    assert submission.verify(protocol, reference).standing is Standing.SELF_REPORTED


@pytest.mark.parametrize("label", [-1, 10, 1 << 62])
def test_labels_that_there_are_not_are_caught(
    label: int, submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    submission.replace("000", labels=torch.tensor([label]))
    assert "labels must be" in assert_rejected(submission.verify(protocol, reference), "images")


def test_swapped_labels_are_caught(submission: Tampered, protocol: Protocol, reference: Reference) -> None:
    first, second = (submission.tensors(name)["labels"] for name in ("000", "001"))
    assert not torch.equal(first, second)
    submission.replace("000", labels=second)
    submission.replace("001", labels=first)
    assert_rejected(submission.verify(protocol, reference), "matching_loss")


def test_fewer_observations_are_noted_and_not_ranked(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    submission.change_results(lambda results: results.pop("001"))
    submission.folder.reconstruction("001").unlink()
    verification = submission.verify(protocol, reference)
    found = check_of(verification, "complete")
    assert found.verdict is Verdict.NOTED
    assert found.detail == "1 of 3 observations are not answered: 001"
    assert not verification.complete
    assert verification.scores.keys() == {"000", "002"}


def test_an_observation_that_there_is_not_is_caught(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    shutil.copyfile(submission.folder.reconstruction("000"), submission.folder.reconstruction("003"))
    submission.change_results(lambda results: results.update({"003": results["000"]}))
    assert "no observation 003" in assert_rejected(submission.verify(protocol, reference), "observations")


def test_more_evaluations_than_the_budget_are_caught(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    submission.change_result("000", gradient_evaluations=250)
    assert submission.verify(protocol, reference).standing is Standing.SELF_REPORTED
    submission.change_result("000", gradient_evaluations=251)
    detail = assert_rejected(submission.verify(protocol, reference), "budget")
    assert detail == "000: 251 gradient evaluations of 250"


# The rest attacks again, in a sandbox; tests/leaderboard/rerun tries the sandbox itself.

HONEST = """
from gifd_bench.benchmark.attacks.ig import IG

class Mine(IG):
    "No options besides IG's."
"""
# Every way out that is tried, and how it ends.
TRESPASSER = """
import os, socket

def ending(act):
    try:
        act()
    except Exception as error:
        return type(error).__name__
    return "DONE"

raise RuntimeError(" ".join(map(ending, (
    lambda: open({secret!r}).read(),
    lambda: socket.create_connection(("127.0.0.1", {port}), 2),
    os.fork,
    lambda: open("/tmp/written", "w"),
))))
"""
ENDINGS = "FileNotFoundError PermissionError PermissionError OSError"


def again(count: int | None = 1, seconds: float = 60.0, **other: Any) -> dict[str, Any]:
    return {"request": RerunRequest(count, RerunLimits(seconds, 1.0), **other)}


def carry(submission: Tampered, source: str) -> None:
    """Attack with the class `Mine` of a file in the submission, by the options of its attack."""
    (submission.path / SOURCE).write_text(source)
    submission.change_file(lambda file: file["rerun"]["attack"].update(use=f"{SOURCE}:Mine"))


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_an_honest_class_is_verified(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    carry(submission, HONEST)
    names: list[str] = []
    verification = submission.verify(protocol, reference, **again(1, progress=names.append))
    assert check_of(verification, "rerun").verdict is Verdict.PASSED, check_of(verification, "rerun")
    # A sample says that the class works; only a rerun of everything makes the scores the verifier's.
    assert verification.standing is Standing.SELF_REPORTED
    assert verification.rerun == len(names) == 1
    assert verification.claims == {}


@pytest.fixture
def dull(monkeypatch: pytest.MonkeyPatch, submission: Tampered, reference: Reference) -> list[int]:
    """The seeds that a rerun was given, whose images are the honest ones, a little darker."""
    seeds: list[int] = []
    honest = {name: submission.tensors(name) for name in reference.truths}

    def attack(self: SandboxRunner, file: Path, job: RerunJob) -> RerunAnswer:
        seeds.append(job.seed)
        its = honest[file.stem]
        return RerunAnswer(its["images"] * 0.98, its["labels"], 201, 1.5)

    monkeypatch.setattr(SandboxRunner, "attack", attack)
    return seeds


# The cheating set: what a submitter may make of the truth, or of honest images with the truth's help.
Cheat = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def _mixed(share: float) -> Cheat:
    return lambda honest, truth, _: (1 - share) * honest + share * truth


def _of_truth(change: Callable[[Tensor, torch.Generator], Tensor]) -> Cheat:
    return lambda _, truth, generator: change(truth, generator)


def _one_pixel(honest: Tensor, truth: Tensor, _: torch.Generator) -> Tensor:
    changed = truth.clone()
    changed[..., 3, 3] = 0.5
    return changed


def _half(honest: Tensor, truth: Tensor, _: torch.Generator) -> Tensor:
    return torch.cat([honest[..., :8], truth[..., 8:]], dim=-1)


def _mean_color(honest: Tensor, truth: Tensor, _: torch.Generator) -> Tensor:
    shift = truth.mean(dim=(2, 3), keepdim=True) - honest.mean(dim=(2, 3), keepdim=True)
    return honest + shift


CHEATS: dict[str, Cheat] = {
    **{f"{share:.0%} truth": _mixed(share) for share in (0.05, 0.15, 0.3, 0.5, 0.8, 0.95)},
    **{name: _of_truth(change) for name, change in COPIES.items()},
    "contrast 0.9": _of_truth(lambda truth, _: 0.5 + 0.9 * (truth - 0.5)),
    "contrast 0.8": _of_truth(lambda truth, _: 0.5 + 0.8 * (truth - 0.5)),
    "darkened": _of_truth(lambda truth, _: 0.9 * truth),
    "one pixel": _one_pixel,
    "half": _half,
    "mean color": _mean_color,
    "8 gray levels": _of_truth(lambda truth, _: (truth * 7).round() / 7),
    "box blur": _of_truth(lambda truth, _: torch.nn.functional.avg_pool2d(truth, 3, 1, 1)),
    "half size": _of_truth(
        lambda truth, _: torch.nn.functional.interpolate(
            torch.nn.functional.avg_pool2d(truth, 2), scale_factor=2, mode="bilinear"
        )
    ),
    "error halved where it is largest": lambda honest, truth, _: torch.where(
        (honest - truth).abs() > (honest - truth).abs().median(), (honest + truth) / 2, honest
    ),
}


def test_the_cheating_set_has_25() -> None:
    assert len(CHEATS) == 25


@pytest.mark.slow
@pytest.mark.parametrize("cheat", CHEATS)
def test_doctored_images_are_worth_nothing(
    cheat: str, submission: Tampered, protocol: Protocol, reference: Reference, dull: list[int]
) -> None:
    """Whatever was submitted, what is scored are the images that the verifier made."""
    honest = submission.verify(protocol, reference, **again(None))
    assert honest.standing is Standing.VERIFIED
    generator = torch.Generator().manual_seed(7)
    for name, truth in reference.truths.items():
        changed = CHEATS[cheat](submission.tensors(name)["images"], truth.images, generator)
        submission.claim(name, changed.clamp(0, 1), truth.labels, reference)
    doctored = submission.verify(protocol, reference, **again(None))
    assert doctored.scores == honest.scores
    assert doctored.claims != honest.claims


def test_seeds_are_drawn_by_the_verifier_whatever_was_submitted(
    submission: Tampered, protocol: Protocol, reference: Reference, dull: list[int], tmp_path: Path
) -> None:
    claimed = {result.seed for result in submission.folder.results.values()}
    first = submission.verify(protocol, reference, **again(None))
    second = submission.verify(protocol, reference, **again(None))
    assert len(set(dull)) == 6
    assert not claimed & set(dull)
    assert first.seed != second.seed


def test_an_interrupted_rerun_goes_on_with_the_same_seeds(
    submission: Tampered,
    protocol: Protocol,
    reference: Reference,
    dull: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(name: str) -> None:
        if name == "002":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        submission.verify(protocol, reference, **again(None, folder=tmp_path, progress=stop))
    assert len(dull) == 2
    names: list[str] = []
    whole = submission.verify(
        protocol, reference, **again(None, folder=tmp_path, progress=names.append, jobs=2)
    )
    assert names == ["002"]
    assert whole.standing is Standing.VERIFIED
    assert len(set(dull)) == 3
    # Another submission begins anew.
    submission.change_file(lambda file: file["about"].update(version="1.1"))
    submission.verify(protocol, reference, **again(None, folder=tmp_path))
    assert len(dull) == 6


def test_a_rerun_over_the_budget_is_rejected(
    submission: Tampered, protocol: Protocol, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attack(self: SandboxRunner, file: Path, job: RerunJob) -> RerunAnswer:
        raise RerunFailed(f"the attack asked for {job.most + 1} gradient evaluations of {job.most}")

    monkeypatch.setattr(SandboxRunner, "attack", attack)
    detail = assert_rejected(submission.verify(protocol, reference, **again(None)), "rerun")
    assert detail == "000: the attack asked for 251 gradient evaluations of 250"


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_evaluations_that_were_under_reported_are_shown_as_they_were_counted(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    for name, result in submission.folder.results.items():
        submission.change_result(name, gradient_evaluations=result.gradient_evaluations // 2)
    verification = submission.verify(protocol, reference, **again(None, jobs=2))
    assert {score.gradient_evaluations for score in verification.claims.values()} == {100}
    assert {score.gradient_evaluations for score in verification.scores.values()} == {201}


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_class_that_reads_the_data_folder_opens_a_socket_forks_and_writes_is_caught(
    submission: Tampered,
    protocol: Protocol,
    reference: Reference,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = tmp_path / "data" / "secret"
    secret.parent.mkdir()
    secret.write_text("private")
    monkeypatch.setenv("GIFD_BENCH_DATA", str(secret.parent))
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = TRESPASSER.format(secret=str(secret), port=server.getsockname()[1])
        carry(submission, f"{source}\n{HONEST}")
        detail = assert_rejected(submission.verify(protocol, reference, **again()), "rerun")
    assert ENDINGS in detail


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("import torch; torch.ones(1 << 33, dtype=torch.uint8)", "memory"),
        ("while True: pass", "ran past its 3 s"),
    ],
)
def test_a_class_that_fills_memory_or_never_ends_is_caught(
    act: str, said: str, submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    carry(submission, f"{act}\n{HONEST}")
    assert said in assert_rejected(submission.verify(protocol, reference, **again(seconds=3)), "rerun")


def test_what_cannot_be_run_here_stays_self_reported(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    submission.change_file(lambda file: file.update(rerun=None))
    verification = submission.verify(protocol, reference, **again())
    assert check_of(verification, "rerun").verdict is Verdict.SKIPPED
    assert verification.standing is Standing.SELF_REPORTED


def test_what_this_version_cannot_make_stays_self_reported(
    submission: Tampered, protocol: Protocol, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attack(self: SandboxRunner, file: Path, job: RerunJob) -> RerunAnswer:
        raise RerunImpossible("this version of gifd-bench cannot make the attack (loss: none)")

    monkeypatch.setattr(SandboxRunner, "attack", attack)
    verification = submission.verify(protocol, reference, **again())
    check = check_of(verification, "rerun")
    assert check.verdict is Verdict.SKIPPED
    assert_one_line(check.detail)
    assert verification.rerun == 0
    assert verification.standing is Standing.SELF_REPORTED


def prior_of(use: str, **options: Any) -> Callable[[dict[str, Any]], object]:
    return lambda file: file["rerun"].update(prior={"use": use, "label": "mine", "options": options})


def test_a_prior_s_path_in_a_submission_is_never_looked_at(
    submission: Tampered, protocol: Protocol, reference: Reference, tmp_path: Path
) -> None:
    truths = tmp_path / "truths"
    truths.mkdir()
    (truths / "000.safetensors").write_bytes(b"private")
    for path in (truths, truths / "000.safetensors", truths / ".."):
        submission.change_file(prior_of("generator_file", weights=str(path)))
        found = check_of(submission.verify(protocol, reference, **again()), "rerun")
        assert found.verdict is Verdict.SKIPPED
        assert "are not here" in found.detail


@pytest.mark.slow
@pytest.mark.parametrize(
    ("use", "options"),
    [
        ("nothing", {}),
        ("cifar10", {"weights": "x"}),
        ("untrained", {"size": [1]}),
        ("untrained", {"a b": 1}),
    ],
)
def test_a_prior_that_there_is_not_fails_the_rerun(
    use: str,
    options: dict[str, Any],
    submission: Tampered,
    protocol: Protocol,
    reference: Reference,
) -> None:
    submission.change_file(prior_of(use, **options))
    assert_rejected(submission.verify(protocol, reference, **again()), "rerun")


def test_a_prior_s_weights_are_the_verifier_s_own(
    submission: Tampered,
    protocol: Protocol,
    reference: Reference,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[Submitted] = []

    def start(self: Sandbox) -> SandboxProcess:
        shown.append(self.submitted)
        raise RerunFailed("enough")

    monkeypatch.setattr(Sandbox, "start", start)
    (tmp_path / "generator.safetensors").write_bytes(b"")
    submission.change_file(prior_of("generator_file", weights="/elsewhere/generator.safetensors"))
    submission.verify(protocol, reference, **again(weights=tmp_path))
    (submitted,) = shown
    assert submitted.prior is not None
    assert submitted.prior["options"] == {"weights": str(tmp_path / "generator.safetensors")}


def test_reruns_are_counted_from_0_up() -> None:
    with pytest.raises(LeaderboardError, match="not -1"):
        RerunRequest(-1)


def test_a_verification_is_the_same_whoever_makes_it(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    first, second = (submission.verify(protocol, reference).model_dump(mode="json") for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
