"""Whole runs: repeated, interrupted, with another truth, with failures."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.commands.plan import run as plan
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.benchmark.results.output_folder import first_difference
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.metrics import SSIM
from gifd_bench.common.errors import FileError
from gifd_bench.common.files import write_tensors
from gifd_bench.priors.errors import PriorError
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import load_observation
from gifd_bench.tasks.truth import Truth
from tests.benchmark.helpers import reconstructions, run, tiny_matrix, write_config


def test_every_cell_is_a_row_with_its_numbers(tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path)
    display = run(matrix, tmp_path / "out")
    assert display.ended == ["done"] * 4
    assert [title.split(", ")[-1] for title in display.begun] == ["ig", "gifd"] * 2
    rows = rows_of(RunFolder(tmp_path / "out"))
    assert [(row.defense, row.attack, row.prior) for row in rows] == [
        ("none", "ig", None),
        ("none", "gifd", "cifar10"),
        ("noise", "ig", None),
        ("noise", "gifd", "cifar10"),
    ]
    for row in rows:
        assert row.status == "done"
        assert row.images == 1
        assert row.gradient_evaluations == {"ig": 5, "gifd": 6}[row.attack]
        for metric in ("psnr", "ssim", "mse", "feature_mse", "label_accuracy", "matching_loss", "seconds"):
            assert isinstance(getattr(row, metric), float), metric


@pytest.mark.slow
def test_the_same_matrix_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path)
    run(matrix, tmp_path / "one")
    run(matrix, tmp_path / "two")
    assert reconstructions(tmp_path / "one") == reconstructions(tmp_path / "two")


@pytest.mark.slow
def test_a_cell_that_is_done_is_not_run_again(tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path)
    run(matrix, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert run(matrix, tmp_path / "out").begun == []
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


@pytest.mark.slow
def test_no_reconstruction_depends_on_the_truth(tmp_path: Path) -> None:
    """Observations first; then every truth is replaced by another image; then the attacks run."""
    matrix = tiny_matrix(tmp_path, targets=[0, 1])
    run(matrix, tmp_path / "honest")
    swapped = RunFolder(tmp_path / "swapped")
    swapped.open_for(matrix)
    for cell in matrix.cells():
        task = cell.task.build()
        truth = task.truth(cell.target)
        seeds = cell.model_seed, cell.defense_seed
        observation = task.observe(truth, cell.defense.build(), *seeds)
        other = Truth(torch.rand(truth.images.shape), (truth.labels + 1) % 10)
        swapped.write_round(cell, observation, other)
    run(matrix, tmp_path / "swapped")
    assert reconstructions(tmp_path / "honest") == reconstructions(tmp_path / "swapped")
    scores = [[row.psnr for row in rows_of(RunFolder(tmp_path / n))] for n in ("honest", "swapped")]
    assert scores[0] != scores[1]


def after(iterations: int) -> Callable[[], bool]:
    left = iterations

    def stop() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    return stop


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [0, 2, 3, 4, 6, 9])
def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path: Path, iterations: int) -> None:
    matrix = tiny_matrix(tmp_path)
    whole = run(matrix, tmp_path / "whole")
    with pytest.raises(InversionInterrupted):
        run(matrix, tmp_path / "broken", stop=after(iterations))
    assert len(list((tmp_path / "broken").glob("cells/*/checkpoint.ckpt"))) == 1
    rest = run(matrix, tmp_path / "broken")
    assert reconstructions(tmp_path / "whole") == reconstructions(tmp_path / "broken")
    assert not list((tmp_path / "broken").rglob("*.ckpt*"))
    # What was done before was not done again.
    assert whole.iterations - rest.iterations == iterations + 1


@pytest.mark.slow
def test_what_an_attack_raises_is_a_row_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, images: Any) -> Any:
        raise ZeroDivisionError("the attack\nfell over")

    monkeypatch.setattr(IG, "penalty", broken)
    display = run(tiny_matrix(tmp_path), tmp_path / "out")
    assert display.ended == ["failed", "done", "failed", "done"]
    row = rows_of(RunFolder(tmp_path / "out"))[0]
    assert (row.status, row.reason) == ("failed", "ZeroDivisionError: the attack fell over")
    assert row.psnr is None
    cell = next(iter(tiny_matrix(tmp_path).cells()))
    assert "in broken" in (RunFolder(tmp_path / "out").cell(cell).read().traceback or "")


def test_an_unfinished_run_has_pending_rows(tmp_path: Path) -> None:
    with pytest.raises(InversionInterrupted):
        run(tiny_matrix(tmp_path), tmp_path / "out", stop=after(5))
    statuses = [row.status for row in rows_of(RunFolder(tmp_path / "out"))]
    assert statuses == ["done", "pending", "pending", "pending"]


@pytest.mark.slow
def test_a_folder_with_another_matrix_is_left_alone(tmp_path: Path) -> None:
    run(tiny_matrix(tmp_path), tmp_path / "out")
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    other = tiny_matrix(tmp_path, attacks={"ig": {"iterations": 4}, "gifd": {"iterations": 2}})
    with pytest.raises(BenchmarkError, match=r"attacks\.1\.options\.iterations: 1, not 2"):
        run(other, tmp_path / "out")
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("words")
    with pytest.raises(BenchmarkError, match="not empty and not a run"):
        run(tiny_matrix(tmp_path), tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.tex"]
    with pytest.raises(BenchmarkError, match="not a folder"):
        run(tiny_matrix(tmp_path), tmp_path / "out" / "thesis.tex")


@pytest.mark.slow
def test_a_damaged_observation_is_made_again(tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path)
    with pytest.raises(InversionInterrupted):
        run(matrix, tmp_path / "out", stop=after(0))
    (file,) = (tmp_path / "out" / "observations").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])
    run(matrix, tmp_path / "out")
    assert {row.status for row in rows_of(RunFolder(tmp_path / "out"))} == {"done"}
    assert file.read_bytes() == whole


def test_damaged_weights_are_an_error_before_the_first_cell(tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    priors = {"mine": {"use": "generator_file", "weights": str(tmp_path / "bad.safetensors")}}
    with pytest.raises(PriorError, match=r"bad.safetensors: damaged weights file"):
        run(tiny_matrix(tmp_path, priors=priors), tmp_path / "out")
    assert not list((tmp_path / "out" / "cells").iterdir())


@pytest.mark.slow
def test_a_target_that_does_not_exist_costs_its_own_cells(tmp_path: Path) -> None:
    run(tiny_matrix(tmp_path, targets=[10, 0]), tmp_path / "out")
    rows = rows_of(RunFolder(tmp_path / "out"))
    assert {(row.target, row.status) for row in rows} == {(10, "failed"), (0, "done")}
    assert all("target 10 does not exist" in (row.reason or "") for row in rows if row.target)


@pytest.mark.parametrize(
    ("found", "wanted", "difference"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": [1, 2]}, {"a": [1, 3]}, "a.1: 2, not 3"),
        ({"a": [1]}, {"a": [1, 2]}, "a: [1], not [1, 2]"),
        ({"a": {"b": 1}}, {"a": {}}, "a.b: 1, not None"),
    ],
)
def test_first_difference(found: Any, wanted: Any, difference: str | None) -> None:
    assert first_difference(found, wanted) == difference


@pytest.mark.slow
def test_what_an_attack_is_not_granted_is_skipped_with_the_reason(tmp_path: Path) -> None:
    matrix = tiny_matrix(
        tmp_path, attacks={"ig": {"iterations": 2}, "stopped": {"use": "ig", "stop": "discrepancy"}}
    )
    display = run(matrix, tmp_path / "out")
    assert display.ended == ["done", "skipped"] * 2
    skipped = [row for row in rows_of(RunFolder(tmp_path / "out")) if row.attack == "stopped"]
    assert all(row.status == "skipped" for row in skipped)
    assert all("needs to know of the defense" in str(row.reason) for row in skipped)
    assert run(matrix, tmp_path / "out").ended == []


@pytest.mark.slow
def test_a_victim_is_trained_once_and_its_training_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIFD_BENCH_CACHE", str(tmp_path / "cache"))
    task = {
        "dataset": {"use": "photos", "size": 16},
        "model": {"use": "convnet", "width": 2},
        "weights": "trained",
        "training": {"epochs": 2, "batch_size": 5},
    }
    matrix = tiny_matrix(
        tmp_path, tasks={"photos": task}, attacks={"ig": {"iterations": 2}}, targets=[0, 1]
    )
    display = run(matrix, tmp_path / "out")
    assert display.ended == ["done"] * 4
    assert [title for title in display.begun if "training" in title] == ["photos: training the victim"]
    assert not any("training" in title for title in run(matrix, tmp_path / "again").begun)


def test_what_a_cell_held_is_freed_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[Observation]] = []
    most = 0

    def load(path: Path, imports: Set[str]) -> Observation:
        nonlocal most
        observation = load_observation(path, imports)
        held.append(weakref.ref(observation))
        most = max(most, sum(one() is not None for one in held))
        return observation

    monkeypatch.setattr("gifd_bench.benchmark.rounds.load_observation", load)
    # Python's own search for cycles would come too late in a short test only by chance.
    gc.disable()
    try:
        run(tiny_matrix(tmp_path), tmp_path / "out")
    finally:
        gc.enable()
    assert len(held) == 4
    assert most == 1


def damaged_folder(folder: Path) -> dict[str, Any]:
    """A task of two images, the first of which is cut off."""
    for name in "ab":
        (folder / "set" / name).mkdir(parents=True)
        Image.effect_noise((64, 64), 50).convert("RGB").save(folder / "set" / name / "1.png")
    damaged = folder / "set" / "a" / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    return {
        "dataset": {"use": "folder", "root": str(folder / "set"), "size": 16},
        "model": {"use": "convnet", "width": 2},
    }


def test_a_damaged_image_is_foretold_by_the_plan_and_costs_its_own_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {
        "tasks": {"t": damaged_folder(tmp_path)},
        "targets": [0, 1],
        "attacks": {"ig": {"iterations": 2}},
    }
    assert plan([str(write_config(tmp_path, **changes))]) == 1
    printed = capsys.readouterr().out
    assert "damaged, so that the cells that need it will fail" in printed
    assert "target 0:" in printed
    assert "target 1:" not in printed
    run(tiny_matrix(tmp_path, **changes), tmp_path / "out")
    rows = rows_of(RunFolder(tmp_path / "out"))
    assert {(row.target, row.status) for row in rows} == {(0, "failed"), (1, "done")}


def test_a_victim_that_cannot_be_kept_is_used_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # A file in the place of the cache, which not even root can write below.
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("GIFD_BENCH_CACHE", str(tmp_path / "home"))
    task = {
        "dataset": {"use": "photos", "size": 16},
        "model": {"use": "convnet", "width": 2},
        "weights": "trained",
        "training": {"epochs": 1, "batch_size": 5},
    }
    matrix = tiny_matrix(tmp_path, tasks={"photos": task}, attacks={"ig": {"iterations": 2}})
    assert run(matrix, tmp_path / "out").ended == ["done"] * 2
    assert "used from memory" in caplog.text


@pytest.mark.slow
def test_code_that_exits_and_tensors_that_no_file_holds_cost_their_own_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(self: Any, images: Any) -> Any:
        raise SystemExit(3)

    monkeypatch.setattr(IG, "penalty", leave)
    assert run(tiny_matrix(tmp_path), tmp_path / "out").ended == ["failed", "done"] * 2
    with pytest.raises(FileError, match="cannot be written as safetensors"):
        write_tensors(tmp_path / "it.safetensors", {"a": torch.zeros(2, 2).to_sparse()})
    assert not (tmp_path / "it.safetensors").exists()


@pytest.mark.slow
def test_a_metric_that_fails_is_a_missing_value_and_the_reconstruction_was_written_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def deep(self: Any, images: Any, truths: Any, observation: Any) -> Any:
        seen.append(len(list(tmp_path.glob("out/cells/*/reconstruction.safetensors"))) > 0)
        raise RuntimeError("the image is too small for this backbone")

    monkeypatch.setattr(SSIM, "__call__", deep)
    assert run(tiny_matrix(tmp_path), tmp_path / "out").ended == ["done"] * 4
    rows = rows_of(RunFolder(tmp_path / "out"))
    assert all(row.ssim is None and row.psnr is not None for row in rows)
    assert all("ssim: RuntimeError: the image is too small" in (row.reason or "") for row in rows)
    assert seen == [True] * 4
