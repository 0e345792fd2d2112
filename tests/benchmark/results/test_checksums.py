"""A run folder that knows its own bytes: what is checked when, and what old folders are taken for."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.results import checksums
from gifd_bench.benchmark.results.checksums import SEAL, checksum, read_sealed, write_sealed
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.common.errors import FileError, MissingError
from gifd_bench.common.files import write_json
from tests.benchmark.helpers import reconstructions, run, tiny_matrix

VALUE = {"a": [1, 2.5, None, "ä"], "b": {"c": True}}
SMALL = {"attacks": {"ig": {"iterations": 2}}, "defenses": {"none": None}}


def test_every_byte_of_a_sealed_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "it.json"
    write_sealed(file, VALUE)
    assert read_sealed(file, required=True) == VALUE
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(FileError) as error:
            read_sealed(file, required=True)
        assert str(file) in str(error.value)
        assert "\n" not in str(error.value)


def test_a_file_without_a_checksum_is_of_an_older_version_or_damaged(tmp_path: Path) -> None:
    file = tmp_path / "it.json"
    write_json(file, VALUE)
    assert read_sealed(file, required=False) == VALUE
    with pytest.raises(FileError, match="it has no checksum"):
        read_sealed(file, required=True)
    odds: tuple[object, ...] = ([], "text", {SEAL: None}, {SEAL: "0" * 64}, {SEAL: 1})
    for odd in odds:
        write_json(file, odd)
        with pytest.raises(FileError, match="damaged"):
            read_sealed(file, required=True)


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "it"
    file.write_bytes(b"one")
    os.utime(file, (1, 1))
    hashed = 0

    def counted() -> object:
        nonlocal hashed
        hashed += 1
        from hashlib import sha256

        return sha256()

    monkeypatch.setattr(checksums, "sha256", counted)
    first = checksum(file)
    assert checksum(file) == first
    assert hashed == 1
    file.write_bytes(b"two")
    assert checksum(file) != first
    # So soon after a change, there may be another that leaves no trace in time and size.
    checksum(file)
    assert hashed == 3
    with pytest.raises(MissingError, match="no such file"):
        checksum(tmp_path / "none")


def older(folder: Path) -> RunFolder:
    """A run as older versions left it: without a checksum anywhere."""
    out = RunFolder(folder)
    content = json.loads(out.matrix.read_text())
    del content[SEAL]
    write_json(out.matrix, content)
    for _, cell in out.cells():
        result = json.loads(cell.result.read_text())
        for name in (SEAL, "cell", "files", "round"):
            del result[name]
        write_json(cell.result, result)
    for record in (folder / "rounds").iterdir():
        record.unlink()
    (folder / "rounds").rmdir()
    return RunFolder(folder)


@pytest.mark.slow
def test_an_older_folder_is_read_said_to_be_unverified_and_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tiny_matrix(tmp_path, **SMALL), tmp_path / "out")
    before = reconstructions(tmp_path / "out")
    out = older(tmp_path / "out")
    for command in ("show", "status", "report"):
        assert cli([command, str(out.path)]) == 0
        assert capsys.readouterr().err.count("without checksums: not verified") == 1
    # A new label is written, and the folder does not say of itself that it has what it has not.
    changed = tiny_matrix(tmp_path, **SMALL, priors={"renamed": {"use": "cifar10"}})
    run(changed, out.path)
    assert not RunFolder(out.path).sealed
    ((_, cell),) = out.cells()
    cell.result.unlink()
    run(changed, out.path)
    assert reconstructions(out.path) == before
    (row,) = rows_of(RunFolder(out.path))
    assert row.status == "done"
    # What this version has run in it does have checksums.
    cell.result.write_text(cell.result.read_text().replace('"seconds": ', '"seconds": 1'))
    (row,) = rows_of(RunFolder(out.path))
    assert row.status == "damaged"


@pytest.mark.slow
def test_a_record_that_was_moved_is_damaged(tmp_path: Path) -> None:
    changes = {"attacks": {"ig": {"iterations": 2}}, "defenses": {"none": None}, "targets": [0, 1]}
    run(tiny_matrix(tmp_path, **changes), tmp_path / "out")
    out = RunFolder(tmp_path / "out")
    (one, its_folder), (other, others) = out.cells()
    whole = its_folder.path.with_name("aside")
    its_folder.path.rename(whole)
    others.path.rename(its_folder.path)
    whole.rename(others.path)
    assert [row.status for row in rows_of(out)] == ["damaged"] * 2
    assert "the result of another cell" in (rows_of(out)[0].reason or "")
    whole = its_folder.path.with_name("aside")
    its_folder.path.rename(whole)
    others.path.rename(its_folder.path)
    whole.rename(others.path)
    records = [out.round(cell).record for cell in (one, other)]
    contents = [record.read_bytes() for record in records]
    for record, content in zip(records, reversed(contents), strict=True):
        record.write_bytes(content)
    assert all("another round" in (row.reason or "") for row in rows_of(out))


@pytest.mark.slow
def test_a_round_that_cannot_be_made_again_as_it_was_is_said(tmp_path: Path) -> None:
    out = RunFolder(tmp_path / "out")
    matrix = tiny_matrix(tmp_path, **SMALL)
    run(matrix, out.path)
    ((cell, folder),) = out.cells()
    files = out.round(cell)
    record = files.read_record()
    # What another machine would have made.
    write_sealed(
        files.record,
        {
            "round": record.round,
            "observation": vars(replace(record.observation, sha256="0" * 64, size=1)),
            "truth": vars(record.truth),
        },
    )
    folder.retire()
    run(matrix, out.path)
    (row,) = rows_of(out)
    assert row.status == "failed"
    assert "made again it is another file" in (row.reason or "")
