"""The commands: their exit status, and errors of one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gifd_bench.benchmark import cli as benchmark_cli
from gifd_bench.leaderboard import cli
from gifd_bench.leaderboard.entries import Entries
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.verification.report import Standing, read_verification
from tests.leaderboard.helpers import Honest, Tampered, assert_one_line, write_about, write_protocol


@pytest.mark.slow
@pytest.mark.usefixtures("known")
def test_verify_shows_and_keeps_what_was_found(
    submission: Tampered, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "found.json"
    assert cli.run(["verify", str(submission.path), "--json", str(kept)]) == 0
    shown = capsys.readouterr().out
    assert "tiny-v1: self-reported" in shown
    verification = read_verification(kept)
    assert all(check.name in shown for check in verification.checks)
    mean = sum(values[0] for one in verification.scores.values() if (values := one.metrics["psnr"])) / 3
    assert f"psnr: {mean:.4g}, mean of 3 images" in shown


@pytest.mark.usefixtures("known")
def test_the_exit_status_tells_what_is_to_be_done(
    submission: Tampered, reference: Reference, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = tmp_path / "entries"
    truth = reference.truths["000"]
    submission.claim("000", truth.images, truth.labels, reference)
    accept = ["accept", str(submission.path), "--entries", str(entries), "--rerun", "0"]
    assert cli.run(["verify", str(submission.path)]) == 3
    assert cli.run(accept) == 3
    assert "a person must look at it; then give --looked-at" in capsys.readouterr().out
    assert not entries.exists()
    assert cli.run([*accept, "--looked-at"]) == 0
    (entry,) = Entries(entries).of("tiny-v1")
    assert entry.key == f"somebody/1.0_{entry.verification.accepted}"
    assert {check.name: check.verdict.value for check in entry.verification.checks}[
        "closeness"
    ] == "cleared"
    assert entry.verification.standing is Standing.SELF_REPORTED
    submission.change_result("000", matching_loss=0.5)
    assert cli.run(["verify", str(submission.path)]) == 1
    assert cli.run([*accept, "--looked-at", "--maintainer"]) == 1
    assert "tiny-v1: rejected" in capsys.readouterr().out


def errors(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command ends with."""
    assert benchmark_cli.run(["leaderboard", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gifd-bench: ")
    assert said.count("\n") == 1
    assert_one_line(said.rstrip("\n"))
    return said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "nowhere"], "a submission's folder is expected"),
        (["verify", "."], "submission.yaml: a file is expected"),
        (["accept", "nowhere"], "a submission's folder is expected"),
        (["export", "photos", "--output", "set"], "no such protocol"),
        (["attack", ".", "--attack", "ig", "--output", "out"], "holds no observations"),
        (["rescore", "photos"], "no such protocol"),
        (["submit", ".", "--protocol", "photos-v1", "--about", "no.yaml", "--output", "o"], "no.yaml"),
    ],
)
def test_what_is_not_there_is_one_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in errors(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--attack", "nothing"], "no attack 'nothing'"),
        (["--attack", "gifd"], "needs a prior"),
        (["--attack", "ig", "--attack.iteration=3"], "iteration"),
        (["--attack", "ig", "--attack.iterations=few"], "iterations"),
    ],
)
def test_a_wrong_attack_is_one_line(
    arguments: list[str], said: str, honest: Honest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(tmp_path / "run")]
    assert said in errors(capsys, "attack", str(honest.observations), *arguments, *output)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 1.1}, "version: Input should be a valid string"),
        ({"attack": "My Attack"}, "attack: String should match pattern"),
        ({"authors": []}, "authors: List should have at least 1 item"),
        ({"author": "A. Author"}, "author: Extra inputs are not permitted"),
        ({"paper": "javascript:alert(1)"}, "paper: String should match pattern"),
        ({"description": "\x1b[2J"}, "description: character U+001B is not printable"),
        ({"date": "2026-02-30"}, "date: not a date such as 2026-01-31"),
    ],
)
def test_a_wrong_about_is_one_line(
    change: dict[str, Any], said: str, honest: Honest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about = write_about(tmp_path, **change)
    options = ["--protocol", str(honest.protocol), "--observations", str(honest.observations)]
    found = errors(
        capsys,
        "submit",
        str(honest.run),
        *options,
        "--about",
        str(about),
        "--output",
        str(tmp_path / "made"),
    )
    assert said in found
    assert not (tmp_path / "made").exists()


def test_a_set_of_another_protocol_cannot_be_submitted(
    honest: Honest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_protocol(tmp_path, version=2)
    options = ["--protocol", str(other), "--observations", str(honest.observations)]
    options += ["--about", str(write_about(tmp_path)), "--output", str(tmp_path / "made")]
    assert "of protocol tiny-v1, not tiny-v2" in errors(capsys, "submit", str(honest.run), *options)


def test_a_submission_to_a_protocol_that_there_is_not_is_one_line(
    submission: Tampered, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "tiny-v1: no such protocol" in errors(capsys, "verify", str(submission.path))


@pytest.mark.parametrize("name", ["\x1b[2J", "two\nlines", "\u202egnp"])
def test_a_submission_s_folder_cannot_hide_what_is_printed(
    name: str, submission: Tampered, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = submission.path.rename(submission.path.with_name(name))
    assert "a folder's name must be printable" in errors(capsys, "verify", str(renamed))


@pytest.mark.usefixtures("known")
def test_reruns_cannot_be_fewer_than_none(submission: Tampered, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not -1" in errors(capsys, "verify", str(submission.path), "--rerun", "-1")


def test_the_submission_of_a_run_says_what_was_run(honest: Honest) -> None:
    results = json.loads((honest.submission / "results.json").read_text())["results"]
    for name, result in results.items():
        ran = json.loads((honest.run / name / "result.json").read_text())
        assert result["gradient_evaluations"] == ran["gradient_evaluations"]
        assert result["seconds"] == ran["seconds"]
        assert result["seed"] == json.loads((honest.run / name / "config.json").read_text())["seed"]
    assert str(honest.folder) not in (honest.submission / "submission.yaml").read_text()
