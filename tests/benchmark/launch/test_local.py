"""Several processes on one folder: killed, out of memory, hanging, without a disk to write to."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.launch.local import LocalLauncher
from gifd_bench.benchmark.launch.status import StatusReader
from gifd_bench.benchmark.launch.worker import WorkerSettings
from gifd_bench.benchmark.results.claims import DEATHS, claimed, read_claim
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.common.files import read_json
from tests.benchmark.helpers import reconstructions, run, tiny_matrix, write_config

SETTINGS = WorkerSettings(checkpoint_seconds=0.1)

BAD = '''
import sys
import time
import torch
from gifd_bench.benchmark.attacks.ig import IG

class Raises(IG):
    """Raises."""
    def penalty(self, images):
        raise ValueError("no such\\nthing")

class Nan(IG):
    """Returns NaN."""
    def render(self, search):
        return super().render(search) * float("nan")

class Greedy(IG):
    """Takes memory."""
    def penalty(self, images):
        self.hoard = torch.ones(2**40)
        return super().penalty(images)

class Hangs(IG):
    """Hangs in an iteration."""
    def penalty(self, images):
        time.sleep(3600)

class Chatty(IG):
    """Writes more to standard error than a pipe holds."""
    def penalty(self, images):
        print("a warning\\n" * 2**14, file=sys.stderr)
        return super().penalty(images)

class Slow(IG):
    """Is slow."""
    def penalty(self, images):
        time.sleep(0.2)
        return super().penalty(images)
'''


def opened(folder: Path, matrix_folder: Path, **changes: object) -> RunFolder:
    out = RunFolder(folder)
    matrix_folder.mkdir(exist_ok=True)
    out.open_for(tiny_matrix(matrix_folder, **changes))
    return out


def test_a_cell_is_claimed_by_one(tmp_path: Path) -> None:
    out = opened(tmp_path / "out", tmp_path)
    _, cell = next(out.cells())
    with claimed(cell) as mine:
        assert mine is not None
        assert mine.pid == os.getpid()
        assert read_claim(cell) == mine
        with claimed(cell) as other:
            assert other is None
    assert read_claim(cell) is None
    with claimed(cell) as again:
        assert again is not None
        assert again.deaths == 0


@pytest.mark.slow
def test_a_cell_that_kills_whoever_runs_it_fails_after_a_few(tmp_path: Path) -> None:
    out = opened(tmp_path / "out", tmp_path, defenses={"none": None}, attacks={"ig": {"iterations": 2}})
    ((_, cell),) = out.cells()
    script = (
        "import os, sys; from pathlib import Path\n"
        "from gifd_bench.benchmark.results.cell_folder import CellFolder\n"
        "from gifd_bench.benchmark.results.claims import claimed\n"
        "with claimed(CellFolder(Path(sys.argv[1]))): os.kill(os.getpid(), 9)"
    )

    def die() -> None:
        subprocess.run([sys.executable, "-c", script, str(cell.path)], check=False)

    die()
    with claimed(cell) as claim:
        assert claim is not None
        assert claim.deaths == 1
    with claimed(cell) as claim:
        # Left without harm, the cell is innocent again.
        assert claim is not None
        assert claim.deaths == 0
    for _ in range(DEATHS):
        die()
    run(tiny_matrix(tmp_path, defenses={"none": None}, attacks={"ig": {"iterations": 2}}), tmp_path / "out")
    assert cell.status() == "failed"
    assert f"{DEATHS} processes died over this cell" in (cell.read().reason or "")


@pytest.mark.slow
def test_workers_killed_at_any_moment_lose_nothing(tmp_path: Path) -> None:
    changes = {"attacks": {"ig": {"iterations": 60}, "gifd": {"iterations": 4}}, "targets": [0, 1, 2]}
    calm = opened(tmp_path / "calm", tmp_path, **changes)
    assert LocalLauncher(2, SETTINGS).run(calm, lambda _: None, lambda: False)
    out = opened(tmp_path / "out", tmp_path, **changes)
    dice = random.Random(0)
    kills = int(os.environ.get("GIFD_BENCH_KILLS", "6"))
    ended: dict[str, int] = {}
    for _ in range(kills):
        workers = [subprocess.Popen(SETTINGS.command(out.path)) for _ in range(2)]
        time.sleep(dice.uniform(3, 9))
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        for cell, folder in out.cells():
            if folder.ended():
                # Whole, and never written again.
                assert read_json(folder.result)["status"] == "done"
                stamp = folder.result.stat().st_mtime_ns
                assert ended.setdefault(cell.id, stamp) == stamp
    assert LocalLauncher(2, SETTINGS).run(out, lambda _: None, lambda: False)
    assert reconstructions(tmp_path / "out") == reconstructions(tmp_path / "calm")
    assert {folder.status() for _, folder in out.cells()} == {"done"}


@pytest.mark.slow
def test_what_goes_wrong_is_a_row_and_all_else_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.py").write_text(BAD)
    names = ("Raises", "Nan", "Greedy", "Hangs", "Slow")
    attacks: dict[str, object] = {n.lower(): {"use": f"bad.py:{n}", "iterations": 50} for n in names}
    config = write_config(
        tmp_path, attacks=attacks | {"ig": {"iterations": 3}}, defenses={"none": None}, targets=[0]
    )
    monkeypatch.setattr("gifd_bench.benchmark.time_limit.GRACE", 1.0)
    command = ["run", str(config), "--output", "out", "--jobs", "2", "--cell-time", "3", "--threads", "1"]
    assert cli(command) == 1
    reasons = {
        row.attack: str(row.reason)
        for row in rows_of(RunFolder(tmp_path / "out"))
        if row.status == "failed"
    }
    assert reasons.keys() == {"raises", "nan", "greedy", "hangs", "slow"}
    assert reasons["raises"] == "ValueError: no such thing"
    assert "never finite" in reasons["nan"]
    assert "allocate" in reasons["greedy"]
    assert "it hung in an iteration beyond its time limit of 3 s" in reasons["hangs"]
    assert "more than its time limit of 3 s" in reasons["slow"]
    # Failed cells stay so, until they are retried; what they were is kept.
    assert cli(command) == 1
    assert cli([*command, "--retry", "failed"]) == 1
    assert len(list((tmp_path / "out" / "cells").glob("*/result.1.json"))) == 5
    # Of other code they are other cells, which run without being asked to.
    Path("bad.py").write_text(BAD.replace("raise ValueError", "return 0 # ").replace("3600", "0"))
    assert cli(command) == 1
    statuses = {row.attack: row.status for row in rows_of(RunFolder(tmp_path / "out"))}
    assert statuses["raises"] == "done"
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 6 + 5


@pytest.mark.slow
def test_a_worker_that_says_much_is_not_held_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.py").write_text(BAD)
    attacks = {"chatty": {"use": "bad.py:Chatty", "iterations": 2}}
    out = opened(tmp_path / "out", tmp_path, attacks=attacks, defenses={"none": None})
    deadline = time.monotonic() + 60
    assert LocalLauncher(1, SETTINGS).run(out, lambda _: None, lambda: time.monotonic() > deadline)
    assert {folder.status() for _, folder in out.cells()} == {"done"}


@dataclass(frozen=True)
class Scripted(WorkerSettings):
    """Workers that run a script instead of cells."""

    script: str = ""

    def command(self, folder: Path) -> list[str]:
        return [sys.executable, "-c", self.script]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "print('x' * 10**6, '\\ngifd-bench: no such prior', file=sys.stderr); sys.exit(2)",
            "^no such prior$",
        ),
        ("sys.exit(2)", "^a worker ended without an error message$"),
        ("sys.stderr.write('libc.so: not found'); sys.exit(1)", "die again.*libc.so: not found$"),
        ("os.kill(os.getpid(), 9)", "die again.*said: nothing$"),
    ],
)
def test_the_last_that_workers_say_is_told(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gifd_bench.benchmark.launch.local.POLL", 0.01)
    launcher = LocalLauncher(1, Scripted(script=f"import os, sys; {script}"))
    with pytest.raises(BenchmarkError, match=message):
        launcher.run(opened(tmp_path / "out", tmp_path), lambda _: None, lambda: False)


@pytest.mark.slow
def test_ctrl_c_stops_all_workers_and_the_same_command_goes_on(tmp_path: Path) -> None:
    config = write_config(tmp_path, attacks={"ig": {"iterations": 400}}, targets=[0, 1])
    command = [sys.executable, "-m", "gifd_bench", "run", str(config), "--output", "out", "--jobs", "2"]
    process = subprocess.Popen(
        [*command, "--threads", "1"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    out = RunFolder(tmp_path / "out")
    while not (out.matrix.is_file() and any(f.progress.is_file() for _, f in out.cells())):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "the same command continues" in printed
    status = StatusReader(out).read()
    assert not status.counts["running"]
    assert status.ended < 4
    assert any(folder.checkpoint.is_file() for _, folder in out.cells())
    assert cli(["run", str(config), "--output", str(out.path), "--jobs", "2", "--threads", "1"]) == 0


@pytest.mark.slow
def test_no_disk_to_write_to_is_one_line_and_damages_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "none", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk takes root")
    config = write_config(tmp_path, attacks={"ig": {"iterations": 3}}, targets=[0, 1, 2, 3, 4])
    command = ["run", str(config), "--output", str(disk / "out")]
    try:
        assert cli(command) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "cannot be written" in error or "cannot be made" in error
        ended = {folder.path.name for _, folder in RunFolder(disk / "out").cells() if folder.ended()}
        assert all(row.status in ("done", "pending") for row in rows_of(RunFolder(disk / "out")))
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        assert cli(command) == 0
        assert ended <= {
            folder.path.name for _, folder in RunFolder(disk / "out").cells() if folder.ended()
        }
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        capsys.readouterr()
        more = ["--targets=[0, 1, 2, 3, 4, 5]"]
        assert cli(["run", str(config), "--output", str(disk / "other"), *more]) == 2
        assert "cannot be made" in capsys.readouterr().err
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
def test_workers_that_die_without_a_cell_getting_further_are_not_started_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gifd_bench.benchmark.launch.local.POLL", 0.01)
    started = 0

    class Counted(WorkerSettings):
        def command(self, folder: Path) -> list[str]:
            nonlocal started
            started += 1
            return [sys.executable, "-S", "-c", "raise SystemExit(1)"]

    with pytest.raises(BenchmarkError, match="die again"):
        LocalLauncher(2, Counted()).run(opened(tmp_path / "out", tmp_path), lambda _: None, lambda: False)
    assert started <= 2 * (DEATHS + 2)


@pytest.mark.slow
def test_workers_that_find_nothing_to_do_are_started_later_and_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gifd_bench.benchmark.launch.local.POLL", 0.05)
    started = 0

    class Counted(WorkerSettings):
        def command(self, folder: Path) -> list[str]:
            nonlocal started
            started += 1
            return [sys.executable, "-S", "-c", ""]

    deadline = time.monotonic() + 5
    out = opened(tmp_path / "out", tmp_path)
    assert not LocalLauncher(1, Counted()).run(out, lambda _: None, lambda: time.monotonic() > deadline)
    assert 2 <= started <= 9
