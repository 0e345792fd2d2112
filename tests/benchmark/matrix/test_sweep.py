"""Sweeps: one entry a value, in the file and on the command line, told from lists by types alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.config import load_matrix
from tests.benchmark.helpers import tiny_matrix


def test_a_list_for_a_number_makes_one_defense_a_value(tmp_path: Path) -> None:
    swept = tiny_matrix(tmp_path, defenses={"noise": {"use": "gaussian_noise", "std": [1e-4, "1e-3", 0.1]}})
    assert [defense.label for defense in swept.defenses] == [
        "noise_std_0.0001",
        "noise_std_1e-3",
        "noise_std_0.1",
    ]
    assert [defense.parts[0].options["std"] for defense in swept.defenses] == [1e-4, 1e-3, 0.1]
    # The same cells as of three entries that are written out.
    plain = {f"n{k}": {"use": "gaussian_noise", "std": std} for k, std in enumerate((1e-4, 1e-3, 0.1))}
    written = tiny_matrix(tmp_path, defenses=plain)
    assert [cell.id for cell in swept.cells()] == [cell.id for cell in written.cells()]


def test_the_command_line_sweeps_any_noun_and_what_else_it_sets_holds_for_all() -> None:
    matrix = load_matrix(
        "demo",
        [
            "--defenses.noise.use=laplace_noise",
            "--defenses.noise.scale=[1e-4, 1e-3]",
            "--attacks.ig.iterations=[10, 20]",
            "--attacks.ig.learning_rate=0.2",
            "--tasks.photos.model.width=[4, 8]",
            "--tasks.photos.threat_model.labels=[known, inferred]",
            "--tasks.photos.dataset.size=[16, 32]",
        ],
    )
    assert [(d.parts[0].name, d.parts[0].options) for d in matrix.defenses[1:]] == [
        ("laplace_noise", {"scale": 1e-4}),
        ("laplace_noise", {"scale": 1e-3}),
    ]
    ig = [attack for attack in matrix.attacks if attack.name == "ig"]
    assert [(a.options["iterations"], a.options["learning_rate"]) for a in ig] == [(10, 0.2), (20, 0.2)]
    assert len(matrix.tasks) == 8
    assert len({task.canonical for task in matrix.tasks}) == 8
    assert {task.dataset.name for task in matrix.tasks} == {"photos"}


def test_an_option_that_is_a_list_is_left_and_swept_by_a_list_of_lists() -> None:
    def iterations(text: str) -> list[object]:
        matrix = load_matrix("demo", [f"--attacks.gifd.iterations={text}"])
        return [attack.options["iterations"] for attack in matrix.attacks if attack.name == "gifd"]

    assert iterations("[1, 2, 3, 4, 5]") == [[1, 2, 3, 4, 5]]
    assert iterations("[[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]]") == [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]]
    assert len(load_matrix("demo", ["--targets=[3, 4]"]).targets) == 2


def test_parts_of_a_composed_defense_and_pairs_of_options_make_a_product(tmp_path: Path) -> None:
    both = [{"use": "clipping", "bound": [1.0, 4.0]}, {"use": "gaussian_noise"}]
    (tmp_path / "m").mkdir()
    tiny_matrix(tmp_path / "m", defenses={"both": both})
    matrix = load_matrix(str(tmp_path / "m" / "tiny.yaml"), ["--defenses.both.part2.std=[0.1, 0.2]"])
    assert [tuple(part.options for part in d.parts) for d in matrix.defenses] == [
        ({"bound": bound}, {"std": std}) for bound in (1.0, 4.0) for std in (0.1, 0.2)
    ]
    assert matrix.defenses[1].label == "both_bound_1_std_0.2"


def test_the_label_of_a_sweep_stands_for_all_of_its_entries() -> None:
    sweep = ["--defenses.noise.std=[0.1, 0.2]"]
    matrix = load_matrix("demo", [*sweep, "--excludes=[{defenses: noise}]"])
    assert {cell.defense.label for cell in matrix.cells()} == {"none"}
    matrix = load_matrix("demo", [*sweep, "--excludes=[{defenses: noise_std_0.1}]"])
    assert {cell.defense.label for cell in matrix.cells()} == {"none", "noise_std_0.2"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--defenses.noise.std=[0.1, 0.1]", "the same value twice"),
        ("--defenses.noise.std=[0.1, much]", "std"),
        ("--defenses.noise.sdt=[0.1, 0.2]", "sdt"),
        ("--defenses.noise.std=[]", "std"),
    ],
)
def test_what_is_no_sweep_is_an_error_that_names_the_option(override: str, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        load_matrix("demo", [override])
