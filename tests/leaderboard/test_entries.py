"""Entries: added whole, never changed; and scored again."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch

from gifd_bench.common.errors import StorageError
from gifd_bench.leaderboard import cli
from gifd_bench.leaderboard import entries as entries_module
from gifd_bench.leaderboard.entries import Entries, Entry
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.names import skeleton
from gifd_bench.leaderboard.observation_set import checksum
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.submission.schema import SOURCE
from gifd_bench.leaderboard.verification import checks
from gifd_bench.leaderboard.verification.report import (
    Check,
    Moment,
    Score,
    Standing,
    Verdict,
    Verification,
    read_verification,
    write_verification,
)
from gifd_bench.leaderboard.verification.rescore import rescored
from tests.leaderboard.helpers import Tampered, assert_one_line

TODAY = datetime.now(timezone.utc).date().isoformat()


@pytest.fixture
def entries(tmp_path: Path) -> Entries:
    return Entries(tmp_path / "entries")


@pytest.fixture
def verification(submission: Tampered, protocol: Protocol, reference: Reference) -> Verification:
    return submission.verify(protocol, reference)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def keys(entries: Entries) -> list[str]:
    return [entry.key for entry in entries.of("tiny-v1")]


def test_an_entry_is_the_submission_and_what_was_found(
    submission: Tampered, entries: Entries, protocol: Protocol, reference: Reference
) -> None:
    (submission.path / SOURCE).write_text("class Mine: pass\n")
    submission.change_file(lambda file: file["rerun"]["attack"].update(use=f"{SOURCE}:Mine"))
    for path in submission.path.rglob("*"):
        path.chmod(0o4755)
    verification = submission.verify(protocol, reference)
    entry = entries.add(submission.folder, verification)
    assert entry.path == entries.path / "tiny-v1" / "somebody" / f"1.0_{TODAY}"
    assert content(entry.path / "submission") == content(submission.path)
    assert entry.verification == read_verification(entry.verification_file)
    assert entry.verification == verification.model_copy(update={"accepted": TODAY})
    assert entry.about == submission.folder.file.about
    assert entries.protocols() == ["tiny-v1"]
    assert keys(entries) == [f"somebody/1.0_{TODAY}"]
    # A stranger's permissions are not kept.
    assert not any(path.stat().st_mode & 0o4111 for path in entry.path.rglob("*") if path.is_file())
    submission.path.rename(submission.path.with_name("gone"))
    assert Entry(entry.path).submission.results.keys() == {"000", "001", "002"}


def test_an_entry_is_never_changed(
    submission: Tampered, entries: Entries, protocol: Protocol, reference: Reference
) -> None:
    entry = entries.add(submission.folder, submission.verify(protocol, reference))
    before = content(entries.path)
    submission.change_file(lambda file: file["about"].update(description="Better."))
    with pytest.raises(LeaderboardError, match="entries are not changed, give another version"):
        entries.add(submission.folder, submission.verify(protocol, reference), maintainer=True)
    assert content(entries.path) == before
    submission.change_file(lambda file: file["about"].update(version="1.1"))
    other = entries.add(submission.folder, submission.verify(protocol, reference), maintainer=True)
    assert keys(entries) == [f"somebody/1.0_{TODAY}", f"somebody/1.1_{TODAY}"]
    assert other.about.description == "Better."
    assert {key: value for key, value in content(entries.path).items() if "1.0_" in key} == before
    assert entry.about.description != "Better."


def test_what_is_rejected_is_no_entry(
    submission: Tampered, entries: Entries, protocol: Protocol, reference: Reference
) -> None:
    submission.change_result("000", matching_loss=0.9)
    with pytest.raises(LeaderboardError, match="matching_loss failed: 000: claimed") as refused:
        entries.add(submission.folder, submission.verify(protocol, reference))
    assert "\n" not in str(refused.value)
    assert not entries.path.exists()
    assert entries.protocols() == []
    assert keys(entries) == []


@pytest.mark.parametrize("moment", ["copyfileobj", "write_verification"])
def test_an_acceptance_that_is_killed_leaves_nothing_that_shows(
    moment: str,
    submission: Tampered,
    entries: Entries,
    verification: Verification,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil if moment == "copyfileobj" else entries_module, moment, kill)
        with pytest.raises(KeyboardInterrupt):
            entries.add(submission.folder, verification)
    assert any(entries.path.rglob("*.partial"))
    assert keys(entries) == []
    # And does not stand in the way.
    entries.add(submission.folder, verification)
    assert keys(entries) == [f"somebody/1.0_{TODAY}"]
    assert not any(entries.path.rglob("*.partial"))


def test_a_full_disk_is_one_line(
    submission: Tampered, entries: Entries, verification: Verification, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(StorageError, match="No space left") as failed:
        entries.add(submission.folder, verification)
    assert "\n" not in str(failed.value)
    assert keys(entries) == []


def test_what_else_lies_among_entries_is_none(
    submission: Tampered, entries: Entries, verification: Verification
) -> None:
    entries.add(submission.folder, verification)
    for path in ("README.md", "tiny-v1/README.md", "tiny-v1/somebody/.gitkeep", "tiny-v1/somebody/notes"):
        (entries.path / path).write_text("")
    for path in (".git", "tiny-v1/.cache/1.0_2026-01-31", "tiny-v1/somebody/.1.1_2026-01-31.partial"):
        (entries.path / path).mkdir(parents=True)
    assert entries.protocols() == ["tiny-v1"]
    assert keys(entries) == [f"somebody/1.0_{TODAY}"]
    assert list(entries.of("another-v1")) == []


def test_only_what_belongs_to_a_submission_becomes_part_of_an_entry(
    submission: Tampered, entries: Entries, verification: Verification
) -> None:
    (submission.path / "late").write_text("")
    entry = entries.add(submission.folder, verification)
    assert not (entry.path / "submission" / "late").exists()
    stored = {
        p.relative_to(entry.path / "submission").as_posix(): checksum(p)
        for p in (entry.path / "submission").rglob("*")
        if p.is_file()
    }
    assert entry.verification.files == stored


@pytest.mark.parametrize("swap", ["images", "text", "link", "pipe", "folder", "gone"])
def test_what_was_swapped_since_it_was_verified_is_not_stored(
    swap: str, submission: Tampered, entries: Entries, verification: Verification
) -> None:
    secret = submission.path.parent / "secret"
    secret.write_text("a secret")
    path = submission.folder.reconstruction("000")
    if swap == "text":
        submission.change_file(lambda file: file["about"].update(description="Other."))
    elif swap == "images":
        submission.replace("000", images=torch.zeros(1, 3, 16, 16))
    else:
        path.unlink()
        made = {
            "link": lambda: path.symlink_to(secret),
            "pipe": lambda: os.mkfifo(path),
            "folder": path.mkdir,
            "gone": lambda: None,
        }
        made[swap]()
    with pytest.raises(LeaderboardError, match="has changed since it was verified") as refused:
        entries.add(submission.folder, verification)
    assert "\n" not in str(refused.value)
    assert keys(entries) == []
    assert not any(path.is_file() or path.is_symlink() for path in entries.path.rglob("*"))


def test_a_date_in_the_future_is_the_submitter_s_own_and_the_board_s_is_today(
    submission: Tampered, entries: Entries, protocol: Protocol, reference: Reference
) -> None:
    submission.change_file(lambda file: file["about"].update(date="9999-12-31", version="99.9"))
    entry = entries.add(submission.folder, submission.verify(protocol, reference))
    assert entry.date == TODAY
    assert entry.key == f"somebody/99.9_{TODAY}"


@pytest.mark.parametrize("name", ["s0mebody", "some-body", "somebodv", "somebody2"])
def test_a_name_that_looks_like_another_is_refused(
    name: str, submission: Tampered, entries: Entries, protocol: Protocol, reference: Reference
) -> None:
    entries.add(submission.folder, submission.verify(protocol, reference))
    submission.change_file(lambda file: file["about"].update(attack=name))
    verification = submission.verify(protocol, reference)
    if skeleton(name) == skeleton("somebody"):
        with pytest.raises(LeaderboardError, match="can be taken for somebody"):
            entries.add(submission.folder, verification)
    else:
        assert entries.add(submission.folder, verification).about.attack == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gifd", "glfd"),
        ("gifd", "g1fd"),
        ("gifd", "gi-fd"),
        ("gifd", "gi_fd"),
        ("ggl", "gg1"),
        ("gifd", "\u0261ifd"),
        ("gifd", "g\u0456fd"),
        ("gion", "gi0n"),
        ("gias", "gia5"),
    ],
)
def test_homoglyphs_are_one_name(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


def test_the_project_s_own_names_are_told_apart() -> None:
    names = {entry.about.attack for entry in Entries(entries_module.bundled_entries()).all()}
    assert len({skeleton(name) for name in names}) == len(names)


def test_scoring_again_gives_the_same_and_keeps_the_rerun(
    submission: Tampered, protocol: Protocol, reference: Reference, verification: Verification
) -> None:
    rerun = Check(name="rerun", verdict=Verdict.PASSED, detail="30.00 dB")
    close = Check(name="rerun_closeness", verdict=Verdict.PASSED, detail=verification.checks[-2].detail)
    claims = verification.scores
    moment = Moment(gradient_evaluations=5, metrics={"psnr": 9.0})
    scores = {name: its.model_copy(update={"moments": [moment]}) for name, its in claims.items()}
    before = verification.model_copy(
        update={
            "scores": scores,
            "checks": [*verification.checks[:-1], rerun, close],
            "rerun": 3,
            "claims": claims,
            "seed": 7,
        }
    )
    stale = {
        name: one.model_copy(update={"metrics": {"psnr": [0.0]}}) for name, one in before.scores.items()
    }
    answers = {name: submission.folder.answer(name, 1, 16) for name in claims}
    after = rescored(
        submission.folder, protocol, reference, before.model_copy(update={"scores": stale}), answers
    )
    assert after == before
    assert after.standing is Standing.VERIFIED


def test_scoring_again_rejects_what_has_been_changed(
    submission: Tampered, protocol: Protocol, reference: Reference, verification: Verification
) -> None:
    submission.replace("000", images=torch.zeros(1, 3, 16, 16))
    after = rescored(submission.folder, protocol, reference, verification)
    assert after.standing is Standing.REJECTED
    assert after.problems()[0].name == "matching_loss"


def test_the_command_scores_every_entry_again(
    submission: Tampered,
    entries: Entries,
    verification: Verification,
    honest_protocol: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    reference: Reference,
) -> None:
    monkeypatch.setattr("gifd_bench.leaderboard.commands.rescore.reference_of", lambda *_: reference)
    entry = entries.add(submission.folder, verification)
    before = content(entry.path)
    stale = {
        name: Score(**{**one.model_dump(), "matching_loss": 0.5})
        for name, one in verification.scores.items()
    }
    entry.keep(entry.verification.model_copy(update={"scores": stale}))
    assert content(entry.path) != before
    assert cli.run(["rescore", honest_protocol, "--entries", str(entries.path)]) == 0
    assert capsys.readouterr().out == f"somebody/1.0_{TODAY}: self-reported\n"
    assert content(entry.path) == before


def test_a_damaged_verification_is_one_line(verification: Verification, tmp_path: Path) -> None:
    path = tmp_path / "verification.json"
    write_verification(path, verification)
    assert read_verification(path) == verification
    path.write_text(path.read_text().replace('"passed"', '"\\u001b[31mpassed"', 1))
    with pytest.raises(LeaderboardError, match=r"checks\.0\.verdict") as failed:
        read_verification(path)
    assert_one_line(str(failed.value))


@pytest.mark.parametrize(
    ("verdicts", "rerun", "standing"),
    [
        ([Verdict.PASSED, Verdict.SKIPPED], 0, Standing.SELF_REPORTED),
        ([Verdict.PASSED, Verdict.NOTED], 0, Standing.SELF_REPORTED),
        ([Verdict.PASSED, Verdict.PASSED], 1, Standing.SELF_REPORTED),
        ([Verdict.PASSED, Verdict.PASSED], 2, Standing.VERIFIED),
        ([Verdict.FLAGGED, Verdict.PASSED], 2, Standing.FLAGGED),
        ([Verdict.FLAGGED, Verdict.FAILED], 0, Standing.REJECTED),
    ],
)
def test_the_worst_check_decides(verdicts: list[Verdict], rerun: int, standing: Standing) -> None:
    made = [Check(name=verdict.value, verdict=verdict, detail="x") for verdict in verdicts]
    one = Score(task="t", defense="d", metrics={}, matching_loss=0, gradient_evaluations=1, seconds=None)
    scores = {"000": one, "001": one}
    found = Verification(
        protocol="a-v1",
        scoring=1,
        checks=made,
        complete=True,
        rerun=rerun,
        scores=scores,
        claims=scores if rerun == 2 else {},
    )
    assert found.standing is standing
    assert all(check.verdict in (Verdict.FAILED, Verdict.FLAGGED) for check in found.problems())


def test_few_examples_stand_for_many() -> None:
    many = [f"{number:03d}" for number in range(10)]
    assert checks._some(many) == "000; 001; 002; and 7 more"
    assert len(checks._some(["x" * 10_000] * 9)) < 600


def test_a_file_without_permissions_is_refused(
    submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is unreadable to root")
    submission.folder.reconstruction("000").chmod(0)
    assert submission.verify(protocol, reference).standing is Standing.REJECTED
