"""Names have owners: a key, or the board's maintainers."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gifd_bench.leaderboard import cli
from gifd_bench.leaderboard.board.ranking import EntryStatus, track_of
from gifd_bench.leaderboard.entries import Entries
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.submission.folder import SIGNATURE
from gifd_bench.leaderboard.submission.signature import make_key, read_key, sign
from gifd_bench.leaderboard.verification.rescore import rescored
from tests.leaderboard.helpers import Honest, Tampered, assert_one_line, assert_rejected, write_about


@pytest.fixture
def entries(tmp_path: Path) -> Entries:
    return Entries(tmp_path / "entries")


def accept(submission: Tampered, entries: Entries, *options: str) -> int:
    return cli.run(
        ["accept", str(submission.path), "--entries", str(entries.path), "--rerun", "0", *options]
    )


def refused(submission: Tampered, entries: Entries, *options: str) -> str:
    there = sorted(entries.path.rglob("*"))
    with pytest.raises(LeaderboardError) as raised:
        accept(submission, entries, *options)
    assert sorted(entries.path.rglob("*")) == there
    assert_one_line(str(raised.value))
    return str(raised.value)


def say(submission: Tampered, **about: str) -> None:
    submission.change_file(lambda file: file["about"].update(about))


def versions(entries: Entries) -> Iterator[tuple[str, str, str | None]]:
    return ((one.about.attack, one.about.version, one.verification.owner) for one in entries.all())


@pytest.mark.usefixtures("known")
def test_a_stranger_s_new_version_supersedes_nothing(
    submission: Tampered, entries: Entries, protocol: Protocol, tmp_path: Path
) -> None:
    say(submission, attack="gifd")
    assert accept(submission, entries) == 0
    say(submission, version="99.9", date="9999-12-31", description="Mine.")
    assert "gifd: this name belongs to the maintainers of this board" in refused(submission, entries)
    # A key of the stranger's own makes no owner of him.
    make_key(tmp_path / "stranger.pem")
    sign(submission.folder, read_key(tmp_path / "stranger.pem"))
    assert "belongs to the maintainers" in refused(submission, entries)
    (row,) = track_of(protocol, entries.of("tiny-v1")).rows
    assert row.status is EntryStatus.SELF_REPORTED
    assert row.entry.about.version == "1.0"


@pytest.mark.usefixtures("known")
def test_maintainers_renew_their_own_and_may_hand_a_name_over(
    submission: Tampered, entries: Entries, tmp_path: Path
) -> None:
    assert accept(submission, entries) == 0
    say(submission, version="1.1")
    assert accept(submission, entries, "--maintainer") == 0
    say(submission, version="1.2")
    public = make_key(tmp_path / "key.pem")
    sign(submission.folder, read_key(tmp_path / "key.pem"))
    assert accept(submission, entries, "--maintainer") == 0
    (submission.path / SIGNATURE).unlink()
    say(submission, version="1.3")
    assert "it is not signed" in refused(submission, entries, "--maintainer")
    assert list(versions(entries)) == [
        ("somebody", "1.0", None),
        ("somebody", "1.1", None),
        ("somebody", "1.2", public),
    ]


@pytest.mark.usefixtures("known")
def test_a_name_belongs_to_the_key_of_its_first_version(
    honest: Honest, submission: Tampered, entries: Entries, tmp_path: Path
) -> None:
    key, other = tmp_path / "key.pem", tmp_path / "other.pem"
    assert cli.run(["key", str(key)]) == 0
    make_key(other)
    signed = Tampered(tmp_path / "signed")
    command = ["submit", str(honest.run), "--protocol", str(honest.protocol), "--key", str(key)]
    command += ["--observations", str(honest.observations), "--about", str(write_about(tmp_path))]
    assert cli.run([*command, "--output", str(signed.path)]) == 0
    assert accept(signed, entries) == 0
    (entry,) = entries.all()
    assert entry.verification.owner == read_key(key).public_key().public_bytes_raw().hex()
    # What the entry shows to everybody: the public key, and a signature of other files.
    say(submission, version="2.0")
    assert "somebody: this name belongs to the key" in refused(submission, entries)
    assert "it is not signed" in refused(submission, entries, "--maintainer")
    sign(submission.folder, read_key(other))
    assert "it is signed by" in refused(submission, entries, "--maintainer")
    assert cli.run(["sign", str(submission.path), "--key", str(key)]) == 0
    assert accept(submission, entries) == 0
    assert [version for _, version, _ in versions(entries)] == ["1.0", "2.0"]


@pytest.mark.usefixtures("known")
def test_a_public_key_is_no_signature(
    submission: Tampered,
    entries: Entries,
    protocol: Protocol,
    reference: Reference,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_key(tmp_path / "key.pem")
    public = sign(submission.folder, read_key(tmp_path / "key.pem"))
    signature = json.loads((submission.path / SIGNATURE).read_text())
    assert accept(submission, entries) == 0
    say(submission, version="2.0")
    for forged in (signature["signature"], "0" * 128, "f" * 128):
        text = json.dumps({**signature, "key": public, "signature": forged})
        (submission.path / SIGNATURE).write_text(text)
        assert "no signature of these files" in assert_rejected(
            submission.verify(protocol, reference), "signature"
        )
        assert accept(submission, entries) == 1
    assert "tiny-v1: rejected" in capsys.readouterr().out
    assert len(list(entries.all())) == 1


def test_what_is_changed_after_signing_is_rejected(
    submission: Tampered, protocol: Protocol, reference: Reference, tmp_path: Path
) -> None:
    make_key(tmp_path / "key.pem")
    key = read_key(tmp_path / "key.pem")
    public = sign(submission.folder, key)
    whole = submission.verify(protocol, reference)
    assert whole.owner == public
    assert rescored(submission.folder, protocol, reference, whole).owner == public
    for change in (
        lambda: say(submission, description="Of somebody else."),
        lambda: submission.change_result("001", seconds=0.5),
        lambda: submission.change_file(lambda file: file.update(rerun=None)),
    ):
        sign(submission.folder, key)
        assert submission.verify(protocol, reference).owner == public
        change()
        again = Tampered(submission.path).verify(protocol, reference)
        assert "whoever changed a file after signing" in assert_rejected(again, "signature")
        assert again.owner is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "gifd-bench/signature/1", "key": "\\u001b"}'])
def test_a_damaged_signature_is_one_line(
    text: str, submission: Tampered, protocol: Protocol, reference: Reference
) -> None:
    (submission.path / SIGNATURE).write_text(text)
    assert_one_line(assert_rejected(submission.verify(protocol, reference), "signature"))


def test_a_key_is_never_overwritten_and_its_owner_s_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys" / "mine.pem"
    before = os.umask(0)
    try:
        assert cli.run(["key", str(path)]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    assert read_key(path).public_key().public_bytes_raw().hex() in capsys.readouterr().out
    with pytest.raises(LeaderboardError, match="never overwritten"):
        cli.run(["key", str(path)])
    assert path.read_bytes() == content


def test_what_is_no_key_signs_nothing(submission: Tampered, tmp_path: Path) -> None:
    (tmp_path / "odd.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(LeaderboardError, match="holds no private key"):
        cli.run(["sign", str(submission.path), "--key", str(tmp_path / "odd.pem")])
    assert not (submission.path / SIGNATURE).exists()
