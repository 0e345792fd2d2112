"""Attacking a set, interrupted or not; and what a run has answered of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from gifd_bench.benchmark.auditing.auditor import Auditor
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.common.errors import FileError
from gifd_bench.common.files import read_tensors
from gifd_bench.leaderboard import cli
from gifd_bench.leaderboard.challenge import ChallengeFolder, run_challenge
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.export import export
from gifd_bench.leaderboard.observation_set import ObservationSet
from gifd_bench.leaderboard.protocol import Protocol, read_protocol
from gifd_bench.leaderboard.reference import reference_of
from gifd_bench.leaderboard.submission.attempts import Attempts, attempts_of
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.schema import About
from gifd_bench.leaderboard.submission.write import write_submission
from gifd_bench.leaderboard.verification.report import Verdict
from gifd_bench.leaderboard.verification.verify import verify
from tests.benchmark.helpers import Quiet, run, tiny_matrix
from tests.leaderboard.helpers import ABOUT, write_about, write_protocol

TASK: dict[str, Any] = {"dataset": "photos", "model": {"use": "convnet", "width": 2}}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Protocol:
    folder = tmp_path_factory.mktemp("small")
    return read_protocol(write_protocol(folder, tasks={"photos": TASK}, targets=[0, 1]))


@pytest.fixture(scope="module")
def observations(small: Protocol, tmp_path_factory: pytest.TempPathFactory) -> ObservationSet:
    return export(small, tmp_path_factory.mktemp("small") / "set", None)


def auditor(attack: str = "ig", **options: Any) -> Auditor:
    overrides = [f"--attack.{name}={value}" for name, value in {"iterations": 4, **options}.items()]
    return Auditor.from_options(attack, None, overrides)


def challenge(
    observations: ObservationSet, folder: Path, stop: Any = lambda: False, seed: int = 0, **options: Any
) -> ChallengeFolder:
    made = ChallengeFolder(folder)
    run_challenge(observations, auditor(**options), seed, made, Quiet(), stop)
    return made


def answers(folder: ChallengeFolder) -> dict[str, bytes]:
    files = folder.path.glob("*/reconstruction.safetensors")
    return {file.parent.name: file.read_bytes() for file in sorted(files)}


@pytest.mark.slow
def test_an_interrupted_challenge_ends_with_the_same_bytes(
    observations: ObservationSet, tmp_path: Path
) -> None:
    whole = challenge(observations, tmp_path / "whole")
    asked = iter(range(100))
    # In the middle of the second observation.
    with pytest.raises(InversionInterrupted):
        challenge(observations, tmp_path / "parts", lambda: next(asked) == 6)
    parts = ChallengeFolder(tmp_path / "parts")
    assert len(answers(parts)) == 1
    assert challenge(observations, parts.path) == parts
    assert answers(parts) == answers(whole)
    assert len(answers(whole)) == 2
    # What is done is not done again.
    began = {path: path.stat().st_mtime_ns for path in whole.path.rglob("*")}
    challenge(observations, whole.path)
    assert {path: path.stat().st_mtime_ns for path in whole.path.rglob("*")} == began


@pytest.mark.slow
def test_observations_are_attacked_with_seeds_of_their_own(
    observations: ObservationSet, tmp_path: Path
) -> None:
    found = [
        attempts_of(challenge(observations, tmp_path / f"{seed}", seed=seed).path, observations, None)
        for seed in (0, 1)
    ]
    seeds = [attempt.seed for one in found for attempt in one.by_name.values()]
    assert len(set(seeds)) == 4


@pytest.mark.parametrize("change", [{"seed": 1}, {"restarts": 2}, {"iterations": 5}])
def test_another_challenge_into_the_same_folder_is_refused(
    change: dict[str, int], observations: ObservationSet, tmp_path: Path
) -> None:
    made = challenge(observations, tmp_path / "run")
    before = answers(made)
    with pytest.raises(BenchmarkError, match="holds another challenge"):
        challenge(observations, made.path, **change)
    assert answers(made) == before


def test_a_folder_with_something_else_is_refused(observations: ObservationSet, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(BenchmarkError, match="not empty and not a challenge"):
        challenge(observations, tmp_path)


def assert_is_the_answer(attempts: Attempts, name: str, folder: Path) -> None:
    tensors, attempt = read_tensors(folder / "reconstruction.safetensors"), attempts.by_name[name]
    result = json.loads((folder / "result.json").read_text())
    assert torch.equal(attempt.images, tensors["images"])
    assert torch.equal(attempt.labels, tensors["labels"])
    assert attempt.gradient_evaluations == result["gradient_evaluations"]


def test_the_attempts_of_a_challenge_are_its_answers(observations: ObservationSet, tmp_path: Path) -> None:
    made = challenge(observations, tmp_path / "run")
    attempts = attempts_of(made.path, observations, None)
    assert attempts.attack == auditor().attack
    assert attempts.prior is None
    assert list(attempts.by_name) == ["000", "001"]
    for name in attempts.by_name:
        assert_is_the_answer(attempts, name, made.path / name)
    shutil.rmtree(made.path / "001")
    assert list(attempts_of(made.path, observations, None).by_name) == ["000"]
    shutil.rmtree(made.path / "000")
    with pytest.raises(LeaderboardError, match="nothing of tiny-v1 has been answered yet"):
        attempts_of(made.path, observations, None)


def test_a_challenge_counts_for_the_observations_that_it_attacked_alone(
    small: Protocol, observations: ObservationSet, tmp_path: Path
) -> None:
    made = challenge(observations, tmp_path / "run")
    again = export(small, tmp_path / "again", None)
    assert len(attempts_of(made.path, again, None).by_name) == 2
    others = read_protocol(write_protocol(tmp_path, tasks={"photos": TASK}, targets=[2, 3]))
    with pytest.raises(LeaderboardError, match=r"give those that were with --observations"):
        attempts_of(made.path, export(others, tmp_path / "others", None), None)
    renamed = read_protocol(write_protocol(tmp_path, tasks={"photos": TASK}, targets=[0, 1], version=2))
    with pytest.raises(LeaderboardError, match="answers tiny-v1, not tiny-v2"):
        attempts_of(made.path, export(renamed, tmp_path / "renamed", None), None)


@pytest.mark.parametrize("content", ["[]", "{}", '{"protocol": 1, "fingerprints": 2}'])
def test_a_damaged_record_is_one_line(content: str, observations: ObservationSet, tmp_path: Path) -> None:
    (tmp_path / "challenge.json").write_text(content)
    with pytest.raises(FileError, match=r"challenge\.json: damaged"):
        attempts_of(tmp_path, observations, None)


@pytest.fixture(scope="module")
def matrix_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """IG and GIFD on three targets, of which the protocol has two, without and with noise."""
    folder = tmp_path_factory.mktemp("matrix")
    run(tiny_matrix(folder, targets=[1, 0, 2]), folder / "run")
    return folder / "run"


@pytest.mark.slow
def test_the_attempts_of_a_matrix_are_the_cells_that_attack_the_protocol_s_observations(
    matrix_run: Path, observations: ObservationSet
) -> None:
    for label, prior in (("ig", None), ("gifd", "cifar10"), ("gifd/cifar10", "cifar10")):
        attempts = attempts_of(matrix_run, observations, label)
        assert attempts.attack.label == label.split("/")[0]
        assert (attempts.prior.name if attempts.prior else None) == prior
        cells = {
            (cell.target, cell.defense.label, cell.attack.label): (cell, folder)
            for cell, folder in RunFolder(matrix_run).cells()
        }
        assert attempts.by_name.keys() == {"000", "001"}
        for name, attempt in attempts.by_name.items():
            cell, folder = cells[int(name), "none", attempts.attack.label]
            assert attempt.seed == cell.attack_seed
            assert set(attempt.metrics) >= {"psnr", "ssim", "mse"}
            assert_is_the_answer(attempts, name, folder.path)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (None, "name one attack with --attack; there are: "),
        ("gi", "that have some: .*ig"),
        ("", "no done cells"),
    ],
)
def test_one_attack_of_several_must_be_named(
    label: str | None, said: str, matrix_run: Path, observations: ObservationSet
) -> None:
    with pytest.raises(LeaderboardError, match=said):
        attempts_of(matrix_run, observations, label)


def test_what_is_no_run_is_one_line(observations: ObservationSet, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError) as failed:
        attempts_of(tmp_path, observations, None)
    assert "\n" not in str(failed.value)


def test_a_submission_of_a_matrix_is_in_order(
    matrix_run: Path, small: Protocol, observations: ObservationSet, tmp_path: Path
) -> None:
    attempts = attempts_of(matrix_run, observations, "gifd")
    made = write_submission(attempts, observations, About.model_validate(ABOUT), tmp_path / "made")
    verification = verify(made, small, reference_of(small, observations.path, None))
    # Nobody signed it, and the last check is the rerun, which was not asked for.
    found = {check.name: check.verdict for check in verification.checks[:-1]}
    assert found.pop("signature") is Verdict.SKIPPED
    assert set(found.values()) == {Verdict.PASSED}
    assert "claims, all as found" in next(c.detail for c in verification.checks if c.name == "metrics")
    rerun = made.file.rerun
    assert rerun is not None
    assert rerun.attack.use == "gifd"
    assert rerun.attack.options == attempts.attack.options
    assert rerun.prior is not None
    assert rerun.prior.use == "cifar10"
    with pytest.raises(LeaderboardError, match="is there already"):
        write_submission(attempts, observations, About.model_validate(ABOUT), tmp_path / "made")


OWN = """
from gifd_bench.benchmark.attacks.ig import IG

class Mine(IG):
    "Somebody's."
"""


def test_an_attack_s_own_file_is_submitted_with_it(
    small: Protocol, observations: ObservationSet, tmp_path: Path
) -> None:
    source = tmp_path / "some_attack.py"
    source.write_text(OWN)
    made = challenge(observations, tmp_path / "run", attack=f"{source}:Mine")
    folder = _submit(made, small, observations, tmp_path)
    assert folder.source.read_text() == OWN
    rerun = folder.file.rerun
    assert rerun is not None
    assert rerun.attack.use == "attack.py:Mine"
    assert rerun.attack.options["iterations"] == 4
    assert str(tmp_path) not in (folder.path / "submission.yaml").read_text()
    assert str(tmp_path) not in (folder.path / "results.json").read_text()


def _submit(
    made: ChallengeFolder, protocol: Protocol, observations: ObservationSet, folder: Path
) -> SubmissionFolder:
    arguments = ["submit", str(made.path), "--protocol", str(write_protocol(folder, **_changes(protocol)))]
    arguments += ["--about", str(write_about(folder)), "--output", str(folder / "submission")]
    assert cli.run([*arguments, "--observations", str(observations.path)]) == 0
    return SubmissionFolder(folder / "submission")


def _changes(protocol: Protocol) -> dict[str, Any]:
    return {"tasks": protocol.file.tasks, "targets": protocol.file.targets}


def test_an_attack_s_file_that_is_gone_is_one_line(
    small: Protocol, observations: ObservationSet, tmp_path: Path
) -> None:
    source = tmp_path / "some_attack.py"
    source.write_text(OWN)
    made = challenge(observations, tmp_path / "run", attack=f"{source}:Mine")
    source.unlink()
    with pytest.raises(LeaderboardError, match="the attack's file is not here"):
        _submit(made, small, observations, tmp_path)
    assert not (tmp_path / "submission").exists()


def test_an_attack_s_file_that_has_changed_since_is_one_line(
    small: Protocol, observations: ObservationSet, tmp_path: Path
) -> None:
    source = tmp_path / "some_attack.py"
    source.write_text(OWN)
    made = challenge(observations, tmp_path / "run", attack=f"{source}:Mine")
    source.write_text(f"{OWN}    # Better.\n")
    with pytest.raises(LeaderboardError, match="has changed since it was run"):
        _submit(made, small, observations, tmp_path)
    assert not (tmp_path / "submission").exists()


def test_an_attack_that_no_file_holds_is_submitted_without_a_rerun(
    observations: ObservationSet, tmp_path: Path
) -> None:
    made = challenge(observations, tmp_path / "run")
    attempts = attempts_of(made.path, observations, None)
    for name in ("somebody.attacks:Mine", "somebody.attacks.Mine", "an-entry-point"):
        attack = Component("attack", name, name, {"iterations": 4})
        other = Attempts(attack, None, attempts.by_name)
        folder = write_submission(other, observations, About.model_validate(ABOUT), tmp_path / f"of {name}")
        assert folder.file.rerun is None


def test_where_a_prior_s_weights_lie_is_not_submitted(observations: ObservationSet, tmp_path: Path) -> None:
    made = challenge(observations, tmp_path / "run")
    attempts = attempts_of(made.path, observations, None)
    prior = Component("prior", "generator_file", "mine", {"weights": "/home/me/mine.safetensors"})
    folder = write_submission(
        Attempts(attempts.attack, prior, attempts.by_name),
        observations,
        About.model_validate(ABOUT),
        tmp_path / "made",
    )
    rerun = folder.file.rerun
    assert rerun is not None
    assert rerun.prior is not None
    assert rerun.prior.options == {"weights": "mine.safetensors"}
