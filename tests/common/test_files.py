"""Files that follow the umask, and errors of reading that say what is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.common.errors import FileError, MissingError
from gifd_bench.common.files import read_json, read_tensors, write_json, write_tensors
from tests.benchmark.helpers import run, tiny_matrix

READ = """
import os, sys
from pathlib import Path
from gifd_bench.common.errors import FileError
from gifd_bench.common.files import check_tensors, read_json, read_tensors
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.observation_file import load_observation
if os.getuid() == 0:
    os.setuid(65534)
for read in (read_json, read_tensors, check_tensors, load_observation):
    try:
        read(Path(sys.argv[1]))
    except (FileError, TaskError) as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_every_file_of_a_run_follows_the_umask(tmp_path: Path, umask: int) -> None:
    asked = iter([False] * 6)
    before = os.umask(umask)
    try:
        with pytest.raises(InversionInterrupted):
            run(tiny_matrix(tmp_path), tmp_path / "out", stop=lambda: next(asked, True))
    finally:
        os.umask(before)
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert {file.suffix for file in files} >= {".json", ".safetensors", ".png", ".ckpt", ".txt"}
    modes = {file.name: file.stat().st_mode & 0o777 for file in files}
    assert modes == dict.fromkeys(modes, 438 & ~umask)


@pytest.mark.slow
def test_a_file_of_somebody_else_is_not_called_damaged_or_missing() -> None:
    # Below a folder that everybody may enter, which that of the tests is not.
    file = Path("/tmp") / f"gifd-bench-private-{os.getpid()}.safetensors"
    write_tensors(file, {"a": torch.zeros(1)})
    file.chmod(0)
    try:
        done = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True)
    finally:
        file.unlink()
    said = f"{file}: this user may not read it (permission denied)"
    kinds = ["AccessError"] * 3 + ["TaskError"]
    assert done.stdout.splitlines() == [f"{kind} {said}" for kind in kinds], done.stderr


def test_missing_and_damaged_are_told_apart(tmp_path: Path) -> None:
    for read in (read_json, read_tensors):
        with pytest.raises(MissingError, match=r"none: no such file$"):
            read(tmp_path / "none")
        with pytest.raises(FileError, match=r"cannot be read \(Is a directory\)"):
            read(tmp_path)
    (tmp_path / "it").write_bytes(b"\xff{")
    with pytest.raises(FileError, match="not a readable JSON"):
        read_json(tmp_path / "it")
    with pytest.raises(FileError, match="not a readable safetensors"):
        read_tensors(tmp_path / "it")
    write_json(tmp_path / "it", {"a": 1})
    assert read_json(tmp_path / "it") == {"a": 1}


@pytest.mark.parametrize("command", ["show", "status", "report", "run demo --output"])
def test_a_path_that_is_too_long_is_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli([*command.split(), "x" * 300]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "File name too long" in said
