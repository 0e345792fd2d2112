"""A cell is what it does, not what it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.observation import Observation
from tests.benchmark.helpers import reconstructions, run

NAMED: dict[str, Any] = {
    "name": "first",
    "description": "as it was",
    "tasks": {
        "photos": {"dataset": {"use": "photos", "size": 16}, "model": {"use": "convnet", "width": 2}}
    },
    "defenses": {"none": None, "noise": {"use": "gaussian_noise", "std": 0.01}},
    "priors": {"cifar10": None},
    "attacks": {
        "ig": {"iterations": 3},
        "gifd": {"iterations": 1},
        "gi": {"iterations": 2, "group_size": 2},
    },
    "targets": [0],
}


def read(folder: Path, content: dict[str, Any], name: str = "matrix.yaml") -> Matrix:
    (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
    return load_matrix(str(folder / name))


def renamed(axis: str) -> dict[str, Any]:
    """The same matrix with other labels on an axis."""
    if axis == "name":
        return {**NAMED, "name": "second", "description": "another"}
    kind = {"tasks": "", "defenses": "none", "priors": "cifar10", "attacks": ""}[axis]
    entries = {}
    for label, spec in NAMED[axis].items():
        spec = dict(spec or {"use": kind})
        if axis == "attacks":
            spec.setdefault("use", label)
        entries[f"my_{label}"] = spec
    return {**NAMED, axis: entries}


@pytest.mark.slow
@pytest.mark.parametrize("axis", ["name", "tasks", "defenses", "priors", "attacks"])
def test_a_rename_changes_no_byte_but_the_label(axis: str, tmp_path: Path) -> None:
    before, after = read(tmp_path, NAMED, "a.yaml"), read(tmp_path, renamed(axis), "b.yaml")
    assert before.config() != after.config()
    assert [cell.id for cell in before.cells()] == [cell.id for cell in after.cells()]
    assert [c.observation_id for c in before.cells()] == [c.observation_id for c in after.cells()]
    if axis in ("defenses", "attacks"):  # The axes whose labels once were in the seeds.
        run(before, tmp_path / "one")
        run(after, tmp_path / "other")
        assert reconstructions(tmp_path / "one") == reconstructions(tmp_path / "other")
        for file in (tmp_path / "one" / "observations").iterdir():
            assert file.read_bytes() == (tmp_path / "other" / "observations" / file.name).read_bytes()


@pytest.mark.slow
def test_a_run_goes_on_under_other_labels_and_shows_these(tmp_path: Path) -> None:
    run(read(tmp_path, NAMED, "a.yaml"), tmp_path / "out")
    display = run(read(tmp_path, renamed("attacks"), "b.yaml"), tmp_path / "out")
    assert display.begun == []
    assert {cell.attack.label for cell, _ in RunFolder(tmp_path / "out").cells()} == {
        *("my_ig", "my_gifd", "my_gi")
    }


def test_one_name_more_for_the_same_is_the_same_cell(tmp_path: Path) -> None:
    attacks = {"ig": {"iterations": 2}, "again": {"use": "ig", "iterations": 2}}
    matrix = read(
        tmp_path, {**NAMED, "attacks": attacks, "defenses": {"none": None, "off": {"use": "none"}}}
    )
    assert len({cell.id for cell in matrix.cells()}) == 1
    assert len(list(matrix.cells())) == 4
    run(matrix, tmp_path / "out")
    assert len(reconstructions(tmp_path / "out")) == 1


def test_code_from_outside_is_known_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from gifd_bench.benchmark.attacks.ig import IG\n\n\nclass Mine(IG):\n    pass\n"
    monkeypatch.chdir(tmp_path)
    ids = []
    for place, text in (("mine.py", code), ("elsewhere.py", code), ("other.py", code + "# edited\n")):
        Path(place).write_text(text)
        matrix = read(tmp_path, {**NAMED, "attacks": {"mine": {"use": f"{place}:Mine", "iterations": 1}}})
        ids.append({cell.id for cell in matrix.cells()})
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]
    by_module = read(tmp_path, {**NAMED, "attacks": {"mine": {"use": "mine:Mine", "iterations": 1}}})
    assert {cell.id for cell in by_module.cells()} == ids[0]


def test_both_spellings_of_a_defense_are_the_same_cells(tmp_path: Path) -> None:
    british, american = (
        read(tmp_path, {**NAMED, "defenses": {name: {"bits": 4}}})
        for name in ("quantisation", "quantization")
    )
    assert [cell.id for cell in american.cells()] == [cell.id for cell in british.cells()]
    assert {cell.defense.label for cell in american.cells()} == {"quantization"}
    assert DEFENSES.find("quantization") is DEFENSES.find("quantisation")


def seeds(cell: Cell) -> tuple[int, int, int]:
    return cell.attack_seed, cell.defense_seed, cell.model_seed


def test_draws_depend_on_seed_and_target_alone(tmp_path: Path) -> None:
    matrix = read(tmp_path, {**NAMED, "targets": [0, 1], "seeds": [0, 1]})
    by_draw: dict[tuple[int, int], set[tuple[int, int, int]]] = {}
    for cell in matrix.cells():
        by_draw.setdefault((cell.seed, cell.target), set()).add(seeds(cell))
    assert all(len(found) == 1 for found in by_draw.values())
    assert len({next(iter(found))[0] for found in by_draw.values()}) == 4


def observation(cell: Cell) -> Observation:
    return cell.play(cell.task.build())[0]


def test_a_sweep_over_strengths_draws_the_same_noise_scaled(tmp_path: Path) -> None:
    defenses: dict[str, Any] = {"none": None} | {
        f"noise{n}": {"use": "gaussian_noise", "std": std} for n, std in enumerate((0.01, 0.02, 0.4))
    }
    defenses["clipped"] = [{"use": "clipping", "bound": 1e9}, {"use": "gaussian_noise", "std": 0.01}]
    cells = list(
        read(tmp_path, {**NAMED, "defenses": defenses, "attacks": {"ig": {"iterations": 1}}}).cells()
    )
    clean, weak, twice, strong, clipped = (observation(cell).update for cell in cells)
    for name, value in clean.items():
        noise = weak[name] - value
        torch.testing.assert_close(twice[name] - value, 2 * noise, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(strong[name] - value, 40 * noise, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(clipped[name], weak[name])
