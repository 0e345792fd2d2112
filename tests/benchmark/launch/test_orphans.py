"""What is left of a launcher or a worker that was killed: no process that goes on, no claim on what has
ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gifd_bench.benchmark.results.claims import read_claim
from gifd_bench.benchmark.results.run_folder import RunFolder
from tests.benchmark.helpers import tiny_matrix, write_config
from tests.benchmark.launch.cluster import wait_until

PARENT = """
import os, subprocess, sys
command = [sys.executable, "-S", "-c", sys.argv[1], str(os.getpid())]
child = subprocess.Popen(command, start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""
CHILD = """
import sys, time
from pathlib import Path
sys.path[:0] = PATHS
from gifd_bench.common.parent import end_with_parent
end_with_parent(int(sys.argv[1]))
Path("ready").touch()
time.sleep(600)
"""
# The thread that started the child ends, and then the process: the child passes from one to the other.
PARENT_OF_TWO_THREADS = """
import os, subprocess, sys, threading, time
from pathlib import Path
def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.01)
def start():
    command = [sys.executable, "-c", sys.argv[1], str(os.getpid())]
    print(subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL).pid, flush=True)
    wait_for("ready")
thread = threading.Thread(target=start)
thread.start()
thread.join()
wait_for("asked")
"""
CHILD_THAT_TAKES_ITS_TIME = """
import os, sys, time
from pathlib import Path
sys.path[:0] = PATHS
from gifd_bench.benchmark.runner import StopRequest
from gifd_bench.common.parent import end_with_parent
parent = int(sys.argv[1])
end_with_parent(parent)
with StopRequest() as stop:
    Path("ready").touch()
    while not stop():
        time.sleep(0.01)
    Path("asked").touch()
    while os.getppid() == parent:
        time.sleep(0.01)
    time.sleep(0.2)
    Path("wrote").touch()
"""
ENDED = """
import os, sys
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.claims import claimed
from pathlib import Path
folder = CellFolder(Path(sys.argv[1]))
with claimed(folder):
    assert folder.claim.is_file()
    folder.write_skipped("because")
    os.kill(os.getpid(), 9)
"""


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    child = CHILD.replace("PATHS", repr([path for path in sys.path if path]))
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, child], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    wait_until((tmp_path / "ready").exists, 30)
    assert lives(pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: not lives(pid), 10)


def test_a_child_of_a_parent_that_has_ended_already_ends_too(tmp_path: Path) -> None:
    child = CHILD.replace("PATHS", repr([path for path in sys.path if path]))
    done = subprocess.run([sys.executable, "-c", child, "1"], cwd=tmp_path, timeout=60)
    assert done.returncode == -signal.SIGTERM
    assert not (tmp_path / "ready").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when a parent ends")
def test_a_parent_that_ends_thread_by_thread_asks_once(tmp_path: Path) -> None:
    child = CHILD_THAT_TAKES_ITS_TIME.replace("PATHS", repr([path for path in sys.path if path]))
    parent = [sys.executable, "-c", PARENT_OF_TWO_THREADS, child]
    done = subprocess.run(parent, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    pid = int(done.stdout)
    wait_until(lambda: not lives(pid), 30)
    assert (tmp_path / "wrote").exists()


@pytest.mark.slow
def test_workers_end_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    config = write_config(tmp_path, attacks={"ig": {"iterations": 100_000}}, targets=[0])
    command = [sys.executable, "-m", "gifd_bench", "run", str(config), "--output", "out", "--jobs", "2"]
    launcher = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    out = RunFolder(tmp_path / "out")
    try:
        wait_until(
            lambda: out.matrix.is_file() and all(folder.progress.exists() for _, folder in out.cells()), 120
        )
        workers = [claim.pid for _, folder in out.cells() if (claim := read_claim(folder))]
    finally:
        launcher.kill()
        launcher.wait()
    assert len(workers) == 2
    wait_until(lambda: not any(map(lives, workers)), 60)
    # They had the time to write where they were.
    assert all(folder.checkpoint.exists() for _, folder in out.cells())


@pytest.mark.slow
def test_a_worker_that_dies_after_a_result_leaves_no_claim(tmp_path: Path) -> None:
    out = RunFolder(tmp_path / "out")
    out.open_for(tiny_matrix(tmp_path))
    _, folder = next(out.cells())
    done = subprocess.run([sys.executable, "-c", ENDED, str(folder.path)], env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert folder.status() == "skipped"
    assert not folder.claim.exists()
