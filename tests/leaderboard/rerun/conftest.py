"""An observation file, and whether there is a sandbox here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tasks import Observation, save_observation


@pytest.fixture(scope="session")
def sandbox() -> None:
    """Skips the test where bubblewrap is missing or may make no namespaces."""
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        pytest.skip("bubblewrap is not installed")
    command = [bubblewrap, "--unshare-all", "--ro-bind", "/", "/", "true"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("bubblewrap can make no namespaces here")


@pytest.fixture
def observation_file(observation: Observation, tmp_path: Path) -> Path:
    path = tmp_path / "observation.safetensors"
    save_observation(observation, path)
    return path
