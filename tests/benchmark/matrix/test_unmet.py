"""Cells that make no sense are known before they run."""

from __future__ import annotations

from typing import Any

import pytest

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.matrix import unmet as module
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import load_matrix
from gifd_bench.benchmark.matrix.unmet import unmet


def cell(*overrides: str) -> Cell:
    """IG on a photograph, with what is set otherwise."""
    return next(load_matrix("demo", [*overrides, "--excludes=[{attacks: [latent, gifd]}]"]).cells())


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ([], None),
        (["--attacks.ig.stop=discrepancy"], "stop=discrepancy needs to know of the defense"),
        (["--attacks.ig.label_rule=idlg"], None),
        (
            ["--attacks.ig.label_rule=idlg", "--tasks.photos.batch_size=2"],
            "label_rule=idlg is for one image",
        ),
        (
            ["--attacks.ig.use=idlg", "--attacks.ig.label_rule=idlg", "--tasks.photos.batch_size=2"],
            "idlg is for",
        ),
        (["--attacks.ig.use=idlg", "--tasks.photos.batch_size=2"], None),
        (["--attacks.ig.label_rule=row_sum", "--tasks.photos.batch_size=10"], None),
        (
            ["--attacks.ig.label_rule=row_sum", "--tasks.photos.batch_size=11"],
            "11 images have only 10 classes",
        ),
        (
            ["--attacks.ig.use=gi", "--tasks.photos.batch_size=4", "--tasks.photos.client.clients=3"],
            "label_rule=row_minimum finds each class once, and 12 images",
        ),
    ],
)
def test_the_reason_is_one_line(overrides: list[str], reason: str | None) -> None:
    found = unmet(cell(*overrides))
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert reason in found
        assert "\n" not in found


@pytest.mark.parametrize("rule", ["idlg", "row_sum"])
def test_no_rule_matters_where_labels_are_known(rule: str) -> None:
    known = "--tasks.photos.threat_model.labels=known"
    assert unmet(cell(f"--attacks.ig.label_rule={rule}", "--tasks.photos.batch_size=16", known)) is None


def test_the_options_are_made_once_for_all_cells_that_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    options = ATTACKS.options

    def counted(name: str, arguments: Any) -> Any:
        made.append(name)
        return options(name, arguments)

    monkeypatch.setattr(ATTACKS, "options", counted)
    module._OPTIONS.clear()
    matrix = load_matrix("demo", ["--targets=5", "--excludes=[{attacks: [latent, gifd]}]"])
    assert [unmet(c) for c in matrix.cells()] == [None] * 10
    assert made == ["ig"]
