"""An observation file, and whether there is a sandbox here."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import save_observation
from tests.leaderboard.sandbox import sandbox_missing


@pytest.fixture(scope="session")
def sandbox() -> None:
    """Skips the test where bubblewrap is missing or may make no namespaces."""
    reason = sandbox_missing()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def observation_file(observation: Observation, tmp_path: Path) -> Path:
    path = tmp_path / "observation.safetensors"
    save_observation(observation, path)
    return path
