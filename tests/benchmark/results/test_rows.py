"""Rows, their groups, and their tables."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.checksums import SEAL, read_sealed, write_sealed
from gifd_bench.benchmark.results.groups import groups_of
from gifd_bench.benchmark.results.rows import COLUMNS, Row, rows_of
from gifd_bench.benchmark.results.tables import as_csv, as_json, as_markdown, cell_lines, mean_texts
from tests.benchmark.helpers import tiny_matrix
from tests.benchmark.report.helpers import FAILED, PENDING, Answer, finish, finished_rows


def outcome(cell: Cell) -> Answer | str:
    outcomes: tuple[Answer | str, ...] = (Answer((10.0,), stages=(8.0, 10.0)), FAILED, PENDING)
    return outcomes[cell.target]


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    return finished_rows(tiny_matrix(tmp_path, targets=[0, 1, 2]), tmp_path / "out", outcome)


def test_a_row_carries_what_a_report_needs(rows: list[Row]) -> None:
    row = rows[1]
    assert row.attack_name == "gifd (cifar10)"
    assert row.per_image["psnr"] == (10.0,)
    assert [(stage.gradient_evaluations, stage.psnr) for stage in row.stages] == [(10, 8), (20, 10)]
    assert {"torch", "python", "host"} <= set(row.circumstances)
    assert row.cell.attack.label == "gifd"


def test_a_row_without_an_answer_has_no_detail(rows: list[Row]) -> None:
    for row in rows:
        if row.status != "done":
            assert not row.per_image
            assert not row.stages


def test_exports_have_the_columns_alone(rows: list[Row]) -> None:
    assert set(json.loads(as_json(rows))[0]) == set(COLUMNS)
    assert next(csv.reader(io.StringIO(as_csv(rows)))) == list(COLUMNS)
    assert not {"cell", "record"} & set(COLUMNS)


def test_each_result_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gifd_bench.benchmark.results import record

    run = finish(tiny_matrix(tmp_path), tmp_path / "out", outcome)
    read: list[Path] = []

    def counted(path: Path, required: bool) -> dict[str, Any]:
        read.append(path)
        return read_sealed(path, required)

    monkeypatch.setattr(record, "read_sealed", counted)
    assert len(rows_of(run)) == 4
    assert sorted(read) == sorted(run.cell(cell).result for cell, _ in run.cells())


@pytest.mark.parametrize(
    "damage",
    [
        {"stages": [{"name": "latent"}]},
        {"per_image": 3},
        {"circumstances": {"versions": [1]}},
        {"status": "great"},
        {"matching_loss": None},
        {"seconds": "long"},
        {"unheard_of": 1},
    ],
)
def test_a_result_that_is_no_result_names_its_file(tmp_path: Path, damage: dict[str, object]) -> None:
    run = finish(tiny_matrix(tmp_path), tmp_path / "out", outcome)
    file = next(folder.result for _, folder in run.cells())
    content = json.loads(file.read_text())
    del content[SEAL]
    write_sealed(file, {**content, **damage})
    first, *others = rows_of(run)
    assert first.status == "damaged"
    assert first.psnr is None
    assert f"{file}: damaged, or of another version" in (first.reason or "")
    assert all(row.status != "damaged" for row in others)


def test_groups_are_one_attack_on_one_task_under_one_defense(rows: list[Row]) -> None:
    groups = groups_of(rows)
    assert [(g.defense, g.attack, len(g.rows), len(g.done)) for g in groups] == [
        ("none", "ig", 3, 1),
        ("none", "gifd (cifar10)", 3, 1),
        ("noise", "ig", 3, 1),
        ("noise", "gifd (cifar10)", 3, 1),
    ]
    assert (groups[0].count("failed"), groups[0].count("pending")) == (1, 1)
    assert mean_texts(rows)[0] == ["photos", "none", "ig", "10.00", "0.100", "–", "20", "1", "2"]


def test_a_mean_over_a_metric_that_is_missing_somewhere_is_not_given(rows: list[Row]) -> None:
    (group,) = groups_of([rows[0], replace(rows[0], psnr=None)])
    assert group.mean("psnr") is None
    assert group.mean("ssim") == pytest.approx(0.1)


def test_markdown_escapes_what_would_end_a_cell(rows: list[Row]) -> None:
    assert r"a\|b" in as_markdown([replace(rows[0], attack="a|b")])


def test_cells_are_a_line_each_in_columns_whatever_their_names_hold(rows: list[Row]) -> None:
    named = [replace(rows[0], attack="a\n\x1b[2Jb"), replace(rows[0], attack="日本", psnr=7.0)]
    heading, first, second = cell_lines(named).splitlines()
    assert heading.split()[:4] == ["task", "defense", "target", "attack"]
    assert "\x1b" not in first
    # A wide character takes two columns.
    end = heading.index("PSNR") + len("PSNR")
    assert first[:end].endswith("10.00")
    assert second[: end - 2].endswith(" 7.00")


def test_a_thousand_cells_are_laid_out_in_no_time(rows: list[Row]) -> None:
    began = time.process_time()
    assert len(cell_lines(rows[:1] * 1000).splitlines()) == 1001
    assert time.process_time() - began < 0.3
