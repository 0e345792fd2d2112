"""A checkpoint that nothing can go on from: the cell starts again, and says so."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.invert import Checkpoint, InversionInterrupted
from gifd_bench.benchmark.launch.worker import WorkerSettings, run_cells
from gifd_bench.benchmark.results.run_folder import RunFolder
from tests.benchmark.helpers import Quiet, reconstructions, run, tiny_matrix

CHANGES: dict[str, Any] = {
    "attacks": {"ig": {"iterations": 8}},
    "defenses": {"none": None},
    "targets": [0, 1],
}


def interrupted(folder: Path, iterations: int) -> Path:
    """A run that was stopped after so many iterations; its checkpoint."""
    asked = iter([False] * iterations)
    with pytest.raises(InversionInterrupted):
        run(tiny_matrix(folder, **CHANGES), folder / "out", stop=lambda: next(asked, True))
    (checkpoint,) = (folder / "out").glob("cells/*/checkpoint.ckpt")
    return checkpoint


def flipped(content: bytes) -> bytes:
    # In the middle lie the tensors, which torch would read without a word.
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [flipped, lambda c: c[:-200], lambda c: b"", lambda c: bytes(len(c)), lambda c: b"{}"],
    ids=["flipped", "truncated", "empty", "zeroed", "JSON"],
)
def test_a_damaged_checkpoint_costs_its_iterations_alone(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    run(tiny_matrix(tmp_path, **CHANGES), tmp_path / "whole")
    checkpoint = interrupted(tmp_path, 4)
    log = checkpoint.with_name("log.txt")
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    run(tiny_matrix(tmp_path, **CHANGES), tmp_path / "out")
    events = [line.split(" ", 4)[-1] for line in log.read_text().splitlines()]
    assert events[:2] == ["begins", "is interrupted"]
    assert events[2].startswith("starts again: its checkpoint is damaged (")
    assert events[3:] == ["done"]
    assert reconstructions(tmp_path / "out") == reconstructions(tmp_path / "whole")


def test_no_flipped_byte_of_a_checkpoint_changes_an_answer(tmp_path: Path) -> None:
    file = interrupted(tmp_path, 4)
    content, dice = file.read_bytes(), random.Random(0)
    checkpoint = Checkpoint(file, 1.0, lambda: False)
    sound = Checkpoint(file, 1.0, lambda: False, of=file.parent.name)
    assert sound.drop_if_doubtful() is None
    assert "another" in str(checkpoint.drop_if_doubtful())
    assert not file.exists()
    harmless = 0
    for _ in range(100):
        place = dice.randrange(len(content))
        file.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        harmless += sound.drop_if_doubtful() is None
    # Padding and times of parts, which nobody reads.
    assert harmless < 90


@pytest.mark.slow
def test_a_signal_between_an_iteration_and_the_next_is_an_interruption_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning would raise after the checkpoint's own look, which a SIGTERM has just missed."""
    run(tiny_matrix(tmp_path, **CHANGES), tmp_path / "whole")
    left = [3]

    def late(self: IG, *args: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(IG, "on_train_batch_end", late, raising=False)
    out = RunFolder(tmp_path / "out")
    out.open_for(tiny_matrix(tmp_path, **CHANGES))
    assert not run_cells(out, out.load_matrix(), WorkerSettings(), lambda _: Quiet())
    (_, first), *_ = out.cells()
    assert first.status() is None
    assert first.checkpoint.exists()
    run(tiny_matrix(tmp_path, **CHANGES), out.path)
    assert [line.split(" ", 4)[-1] for line in first.log.read_text().splitlines()] == [
        "begins",
        "is interrupted",
        "goes on",
        "done",
    ]
    assert reconstructions(out.path) == reconstructions(tmp_path / "whole")


def test_a_checkpoint_of_another_cell_is_not_gone_on_from(tmp_path: Path) -> None:
    run(tiny_matrix(tmp_path, **CHANGES), tmp_path / "whole")
    mine = interrupted(tmp_path, 4)
    first, second = (folder for _, folder in RunFolder(tmp_path / "out").cells())
    assert mine == first.checkpoint
    second.path.mkdir()
    shutil.copy(mine, second.checkpoint)
    run(tiny_matrix(tmp_path, **CHANGES), tmp_path / "out")
    assert "goes on" in first.log.read_text()
    assert "starts again: its checkpoint is of another inversion" in second.log.read_text()
    assert reconstructions(tmp_path / "out") == reconstructions(tmp_path / "whole")
