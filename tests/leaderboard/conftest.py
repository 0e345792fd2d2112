"""One honest submission, made by the commands; each test gets a copy."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from gifd_bench.leaderboard import cli
from gifd_bench.leaderboard.commands import verify_options
from gifd_bench.leaderboard.protocol import Protocol, read_protocol
from gifd_bench.leaderboard.reference import Reference, reference_of
from tests.leaderboard.helpers import ITERATIONS, Honest, Tampered, write_about, write_protocol

# Also for these tests: whether bubblewrap works here.
from tests.leaderboard.rerun.conftest import sandbox

__all__ = ["sandbox"]


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    base = tmp_path_factory.getbasetemp()
    # The processes of pytest-xdist share it: it takes long to make, and nothing changes it.
    made = Honest((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "honest")
    with FileLock(f"{made.folder}.lock"):
        if not made.submission.is_dir():
            make_honest(made)
    return made


def make_honest(made: Honest) -> None:
    made.folder.mkdir(exist_ok=True)
    write_protocol(made.folder)
    about = write_about(made.folder)
    observations, run = str(made.observations), str(made.run)
    options = [f"--attack.iterations={ITERATIONS}", "--attack.total_variation=1e-6"]
    submit = ["--observations", observations, "--output", str(made.submission)]
    for command in (
        ["export", str(made.protocol), "--output", observations],
        ["attack", observations, "--attack", "ig", "--output", run, *options],
        ["submit", run, "--protocol", str(made.protocol), "--about", str(about), *submit],
    ):
        assert cli.run(command) == 0


@pytest.fixture(scope="session")
def protocol(honest: Honest) -> Protocol:
    return read_protocol(honest.protocol)


@pytest.fixture(scope="session")
def reference(honest: Honest, protocol: Protocol) -> Reference:
    return reference_of(protocol, honest.observations, None)


@pytest.fixture
def submission(honest: Honest, tmp_path: Path) -> Tampered:
    copy = tmp_path / "submission"
    shutil.copytree(honest.submission, copy)
    return Tampered(copy)


@pytest.fixture(scope="session")
def honest_protocol(honest: Honest) -> str:
    return str(honest.protocol)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, protocol: Protocol, reference: Reference) -> None:
    """As if the tests' protocol were a bundled one."""
    monkeypatch.setattr(verify_options, "find_protocol", lambda _: protocol)
    monkeypatch.setattr(verify_options, "reference_of", lambda *_: reference)
