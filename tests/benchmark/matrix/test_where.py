"""Excludes and overrides: which cells there are, and how their attacks are set."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.matrix.config_files import bundled_configs
from gifd_bench.benchmark.matrix.where import Override, Where

CONTENT: dict[str, Any] = {
    "tasks": {"small": {"dataset": {"use": "photos", "size": 16}}, "large": {"dataset": "photos"}},
    "defenses": {"none": None, "noise": {"use": "gaussian_noise", "std": 0.5}},
    "priors": {"a": {"use": "cifar10"}, "b": {"use": "cifar10"}},
    "attacks": {"ig": {"iterations": 3}, "gifd": {"iterations": 1}, "gion": {"iterations": 2}},
    "targets": [0, 2],
    "seeds": 2,
}
LABELS: dict[str, list[Any]] = {
    "tasks": ["small", "large"],
    "defenses": ["none", "noise"],
    "priors": ["a", "b"],
    "attacks": ["ig", "gifd", "gion"],
    "targets": [0, 2],
    "seeds": [0, 1],
}
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(**changes: Any) -> str:
        path = tmp_path / "it.yaml"
        path.write_text(yaml.safe_dump({**CONTENT, **changes}, sort_keys=False))
        return str(path)

    return written


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """The matrix without excludes and overrides."""
    path = tmp_path_factory.mktemp("full") / "it.yaml"
    path.write_text(yaml.safe_dump(CONTENT, sort_keys=False))
    return load_matrix(str(path))


def some(labels: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(labels) | st.lists(st.sampled_from(labels), min_size=1, unique=True)


WHERES = st.fixed_dictionaries({}, optional={axis: some(labels) for axis, labels in LABELS.items()}).filter(
    bool
)


def names(cell: Cell) -> dict[str, Any]:
    return {
        "tasks": cell.task.label,
        "seeds": cell.seed,
        "targets": cell.target,
        "defenses": cell.defense.label,
        "attacks": cell.attack.label,
        "priors": cell.prior.label if cell.prior else None,
    }


def in_where(point: dict[str, Any], where: dict[str, Any]) -> bool:
    for axis, wanted in where.items():
        if point[axis] != wanted and not (isinstance(wanted, list) and point[axis] in wanted):
            return False
    return True


def slow_product() -> list[dict[str, Any]]:
    """All points, attacks innermost but for their priors."""
    axes = ("tasks", "seeds", "targets", "defenses", "attacks")
    points = []
    for labels in itertools.product(*(LABELS[axis] for axis in axes)):
        point = dict(zip(axes, labels, strict=True))
        points += [
            {**point, "priors": prior} for prior in (LABELS["priors"] if "gifd" in labels else [None])
        ]
    return points


@given(st.lists(WHERES, max_size=3))
@settings(max_examples=60)
def test_the_cells_are_the_product_without_what_an_exclude_holds(
    full: Matrix, excludes: list[dict[str, Any]]
) -> None:
    matrix = replace(full, excludes=tuple(Where(**where) for where in excludes))
    expected = [p for p in slow_product() if not any(in_where(p, where) for where in excludes)]
    assert [names(cell) for cell in matrix.cells()] == expected
    kept = {cell.id for cell in matrix.cells()}
    assert kept <= {cell.id for cell in full.cells()}


@pytest.mark.slow
@given(st.lists(st.tuples(WHERES, st.sampled_from(["restarts", "stop"]), st.integers(2, 9)), max_size=3))
@settings(max_examples=60)
def test_overrides_apply_in_turn_where_they_hold_and_nowhere_else(
    full: Matrix, specs: list[tuple[dict[str, Any], str, int]]
) -> None:
    overrides = tuple(Override(Where(**where), {name: value}) for where, name, value in specs)
    changed = replace(full, overrides=overrides)
    for before, after in zip(full.cells(), changed.cells(), strict=True):
        options = dict(before.attack.options)
        for where, name, value in specs:
            if in_where(names(before), where):
                options[name] = value
        assert after.attack.options == options
        assert (before.id == after.id) == (options == before.attack.options)
        assert replace(after, attack=before.attack) == before


@pytest.mark.parametrize("name", bundled_configs())
def test_a_cells_id_is_the_hash_of_its_whole_configuration_without_labels(name: str) -> None:
    def unlabeled(config: Any) -> Any:
        if isinstance(config, dict):
            return {key: unlabeled(value) for key, value in config.items() if key != "label"}
        return [unlabeled(value) for value in config] if isinstance(config, list) else config

    def digest(config: dict[str, Any]) -> str:
        text = json.dumps(config, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    for cell in load_matrix(name).cells():
        config = unlabeled(cell.config())
        config["defense"] = [part for part in config["defense"]["parts"] if part["use"] != "none"]
        # Which came later, and is no part of an id where it changes nothing.
        assert config["attack"]["options"].pop("keep") == "all"
        assert cell.id == digest(config)
        shared = ("task", "defense", "target", "seed")
        assert cell.observation_id == digest({key: config[key] for key in shared})


def test_a_file_with_both_is_resolved_and_read_back(write: Write) -> None:
    path = write(
        excludes=[{"attacks": "ig", "tasks": ["small"], "seeds": 1}],
        overrides=[
            {"when": {"attacks": ["ig", "gifd"], "defenses": "noise"}, "set": {"restarts": 2}},
            {
                "when": {"attacks": "gifd"},
                "set": {"radii": {"per_entry": 2}},
            },
        ],
    )
    matrix = load_matrix(path)
    again = Matrix.from_config(json.loads(json.dumps(matrix.config())))
    assert again == matrix
    assert [cell.id for cell in again.cells()] == [cell.id for cell in matrix.cells()]
    for cell in matrix.cells():
        point = names(cell)
        assert not in_where(point, {"attacks": "ig", "tasks": "small", "seeds": 1})
        noisy = point["defenses"] == "noise" and point["attacks"] in ("ig", "gifd")
        assert cell.attack.options["restarts"] == (2 if noisy else 1)
        if point["attacks"] == "gifd":
            assert cell.attack.build().options.radii.per_entry == 2.0


def test_a_matrix_without_either_is_stored_as_before_there_were_any(full: Matrix) -> None:
    assert set(full.config()) == {
        *("name", "tasks", "defenses", "priors", "attacks", "targets", "seeds", "with_prior")
    }
    assert Matrix.from_config(full.config()) == full


def test_cells_that_are_overridden_alike_share_their_attack(write: Write) -> None:
    spec = {"when": {"attacks": "ig", "tasks": "small"}, "set": {"iterations": 5}}
    cells = [c for c in load_matrix(write(overrides=[spec])).cells() if c.attack.label == "ig"]
    assert len({id(cell.attack) for cell in cells}) == 2
    assert {c.task.label: c.attack.options["iterations"] for c in cells} == {"small": 5, "large": 3}


def test_a_count_of_targets_or_seeds_stands_for_those_below_it(write: Write) -> None:
    matrix = load_matrix(write(targets=3), ["--seeds=4"])
    assert (matrix.targets, matrix.seeds) == ((0, 1, 2), (0, 1, 2, 3))


def test_both_can_be_given_on_the_command_line(write: Write) -> None:
    arguments = [
        "--excludes=[{attacks: gion}, {targets: 2}]",
        "--overrides=[{when: {attacks: ig}, set: {iterations: 7}}]",
    ]
    cells = list(load_matrix(write(), arguments).cells())
    assert {(c.attack.label, c.target) for c in cells} == {("ig", 0), ("gifd", 0)}
    assert {c.attack.options["iterations"] for c in cells if c.attack.label == "ig"} == {7}


def test_whether_a_gpu_is_wanted_changes_no_cell(write: Write, full: Matrix) -> None:
    matrix = load_matrix(write(needs_gpu=True))
    assert matrix.needs_gpu
    assert matrix == full
    assert not load_matrix(write(needs_gpu=True), ["--needs_gpu=false"]).needs_gpu


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"excludes": [{"attacks": "ggl"}]},
            "excludes[0].attacks: no label 'ggl'; there are: ig, gifd, gion",
        ),
        ({"excludes": [{"tasks": "small"}, {"targets": 1}]}, "excludes[1].targets: no label '1'"),
        ({"excludes": [{"priors": "c"}]}, "excludes[0].priors: no label 'c'"),
        ({"excludes": [{"atacks": "ig"}]}, "atacks"),
        ({"excludes": [{}]}, "excludes"),
        ({"excludes": [{"tasks": []}]}, "excludes[0]: at least one label is needed"),
        ({"excludes": [{"attacks": 3}]}, "attacks"),
        ({"excludes": {"attacks": "ig"}}, "excludes"),
        ({"excludes": [{"tasks": ["small", "large"]}]}, "excludes: no cell is left"),
        ({"overrides": [{"set": {"iterations": 3}}]}, "overrides"),
        ({"overrides": [{"when": {"attacks": "ig"}}]}, "overrides"),
        (
            {"overrides": [{"when": {"attacks": "igg"}, "set": {"iterations": 3}}]},
            "overrides[0].when.attacks",
        ),
        ({"overrides": [{"when": {"tasks": "small"}, "set": {"iterations": 3}}]}, "say which attacks'"),
        ({"overrides": [{"when": {"attacks": "ig"}, "set": {"iteratons": 3}}]}, "iteratons"),
        ({"overrides": [{"when": {"attacks": "ig"}, "set": {"iterations": "x"}}]}, "overrides[0].set"),
        ({"overrides": [{"when": {"attacks": ["ig", "gion"]}, "set": {"radii": None}}]}, "radii"),
        ({"overrides": [{"when": {"attacks": "ig"}, "set": {"use": "gifd"}}]}, "use"),
        ({"overrides": [{"when": {"attacks": "gifd"}, "set": {"radii.radius": 2}}]}, "overrides[0].set"),
        ({"targets": 0}, "targets: at least one"),
        ({"targets": True}, "targets"),
    ],
)
def test_what_cannot_be_meant_is_one_line(write: Write, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError) as error:
        load_matrix(write(**changes))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
